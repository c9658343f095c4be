"""`curate demo`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.admin import configured, stages
from curate.admin.session import Session
from curate.commands.app import finish, verb
from curate.commands.context import Context

if TYPE_CHECKING:
    from curate.demo.corpus import Item
    from curate.demo.server import Server
    from curate.demo.web import Site
    from curate.store.workspace import Workspace


@verb
def demo(ctx: Context, folder: Annotated[Path, typer.Argument(metavar="[DIR]")] = Path("demo")) -> None:
    """Run the whole way on real, harmless images behind a loopback server that behaves as badly as the web."""
    from curate.demo import model
    from curate.demo.audit import audit, table
    from curate.demo.corpus import absent, collect, default_cache
    from curate.demo.evaluation import Demo, check_folder, prepare, summary, tables
    from curate.demo.partner import table as shared_table
    from curate.demo.server import Server
    from curate.demo.voting import tables as of_functions
    from curate.demo.web import build
    from curate.report.run import report

    check_folder(folder)  # before anything is downloaded
    items = collect(default_cache(), ctx.note)
    if absent():
        ctx.note(f"{absent()} optional images of Debian packages are not installed here; the demo goes on without them")
    site = build(items)
    with Server(site) as server:
        prepare(folder, server.authority)
        site.write_lists(server.base_url, folder)
        here = Session(folder, ctx.quiet, ctx.verbose)
        with here.drive("demo") as ws:
            result: dict[str, Any] = _whole_way(here, ws) | {"train": stages.trained(here, ws, "1.0.0")}
            done = Demo(ws, site.truth(server.base_url), site.pairs(server.base_url))
            account, folds = done.account(), done.cross_validated(configured.backbone(ws.config))
            five = _five(ctx, folder / "five", items)
            shared = _shared(folder, site, server)
            audited = audit(ws, done.labels())
            shown = [*tables(done, account, folds), table(audited, done.survivors(), done.labels())]
            shown += of_functions("two classes", result["label"])
            shown += [five.pop("table"), *of_functions("five classes", five["label"]), shared_table(shared)]
            result |= {"demo": account, "crossvalidation": folds, "estimate": audited, "five": five, "shared": shared}
            asked = stages.predicted(here, "1.0.0", model.pictures(ws, folder / "five" / "images"))
            shown += model.tables(result["train"], asked)
            result["report"] = str(report(ws, here.progress, {"tables": shown}))
    finish(ctx, result, lambda _: iter([*summary(shown, result), *model.last(result)]))


def _five(ctx: Context, folder: Path, items: "Sequence[Item]") -> dict[str, Any]:
    """The demo's second workspace: what becomes of five declared classes."""
    from curate.demo.five import account, prepare, table

    prepare(folder, items)
    here = Session(folder, ctx.quiet, ctx.verbose)
    with here.drive("demo") as ws:
        said = _whole_way(here, ws)
        found = account(ws) | {"label": said["label"]}
    return found | {"table": table(found)}


def _shared(folder: Path, site: "Site", server: "Server") -> dict[str, Any]:
    """The demo's last part: what leaves, who rebuilds it, and what is taken back."""
    from curate.demo.partner import Setting, play
    from curate.project import load_release
    from curate.project import open as project

    setting = Setting(site, server.authority, folder, server.forget)
    ours, partner = setting.prepare()
    return play(setting, project(ours, quiet=True), project(partner, quiet=True), load_release)


def _whole_way(session: Session, ws: "Workspace") -> dict[str, Any]:
    return {
        "fetch": stages.fetched(session, ws),
        "dedupe": stages.grouped(session, ws),
        "label": stages.labelled(session, ws),
        "export": stages.exported(session, ws, "1.0.0"),
    }
