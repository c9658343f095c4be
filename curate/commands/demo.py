"""`curate demo`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate import configured
from curate.commands import dedupe as dedupe_command
from curate.commands import fetch as fetch_command
from curate.commands import label as label_command
from curate.commands import release as release_command
from curate.commands import train as train_command
from curate.commands.app import finish, verb
from curate.commands.context import Context

if TYPE_CHECKING:
    from curate.demo.corpus import Item


@verb
def demo(ctx: Context, folder: Annotated[Path, typer.Argument(metavar="[DIR]")] = Path("demo")) -> None:
    """Run the whole way on real, harmless images behind a loopback server that behaves as badly as the web."""
    from dataclasses import replace

    from curate.demo.corpus import absent, collect, default_cache
    from curate.demo.evaluation import Demo, prepare, summary, tables
    from curate.demo.server import Server
    from curate.demo.web import build
    from curate.report.run import report

    items = collect(default_cache(), ctx.note)
    if absent():
        ctx.note(f"{absent()} optional images of Debian packages are not installed here; the demo goes on without them")
    site = build(items)
    with Server(site) as server:
        prepare(folder, server.authority)
        site.write_lists(server.base_url, folder)
        here = replace(ctx, workspace=folder)
        with here.drive("demo") as ws:
            result: dict[str, Any] = {"fetch": fetch_command.run(here, ws)}
            result |= {"dedupe": dedupe_command.group(here, ws), "label": label_command.weak_labels(here, ws)}
            result |= {
                "export": release_command.release(here, ws, "1.0.0"),
                "train": train_command.baseline(here, ws, "1.0.0"),
            }
            done = Demo(ws, site.truth(server.base_url), site.pairs(server.base_url))
            account, folds = done.account(), done.cross_validated(configured.backbone(ws.config))
            five = _five(ctx, folder / "five", items)
            shown = [*tables(done, account, folds), five.pop("table")]
            result |= {"demo": account, "crossvalidation": folds, "five": five}
            result["report"] = str(report(ws, ctx.progress, {"tables": shown}))
    finish(ctx, result, lambda _: iter(summary(shown, result)))


def _five(ctx: Context, folder: Path, items: "Sequence[Item]") -> dict[str, Any]:
    """The demo's second workspace: what becomes of five declared classes."""
    from dataclasses import replace

    from curate.demo.five import account, prepare, table

    prepare(folder, items)
    here = replace(ctx, workspace=folder)
    with here.drive("demo") as ws:
        fetch_command.run(here, ws)
        dedupe_command.group(here, ws)
        label_command.weak_labels(here, ws)
        release_command.release(here, ws, "1.0.0")
        found = account(ws)
    return found | {"table": table(found)}
