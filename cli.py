"""The `curate` command: parse, pick the plug-ins that the config names, call a verb, print."""

import sys

if __name__ == "__main__" and not sys.flags.safe_path and sys.path[0] != __file__.rpartition("/")[0]:
    del sys.path[0]  # `python -m cli` puts the current folder first: what lies there is no part of this

import importlib.util

if importlib.util.find_spec("fcntl") is None:
    sys.exit("curate: needs Linux or macOS: on Windows no verb runs (the Windows Subsystem for Linux is Linux)")

import gc
import logging
import os
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.exceptions import TyperException

from curate import ending
from curate.commands import fetch, people, pick, review, screening, takedown, verify
from curate.commands.app import MATCHED, NAME, OPTIONS, app, finish, verb
from curate.commands.context import Session
from curate.coverage import incomplete
from curate.errors import CurateError, MatchError, UsageError
from curate.layouts.folder import shown

if TYPE_CHECKING:
    from curate.demo.corpus import Item
    from curate.store.workspace import Workspace

app.add_typer(people.decisions, name="decisions")
app.add_typer(fetch.group, name="sources")
app.add_typer(screening.group, name="screening")
app.command()(review.review)
app.command()(takedown.takedown)
app.command()(takedown.share)
app.command()(verify.verify)

__all__ = ["app", "main"]

REFUSED = 4


def main() -> None:
    """Run the command; one line for what a user can act on, a traceback for anything else."""
    os.umask(0o077)  # what is made here is the operator's own
    logging.basicConfig(format="%(message)s", handlers=[_Warnings()])
    gc.set_threshold(50_000)  # what is imported stays: no use in looking for garbage in it a hundred times
    try:
        with ending.watched():
            code = app(standalone_mode=False) or 0
            if code == ending.INTERRUPTED:  # what Typer makes of it
                raise KeyboardInterrupt
            sys.exit(code)
    except CurateError as error:
        if {"-v", "--verbose"} & set(sys.argv):
            traceback.print_exc()
        print(f"curate: {shown(str(error))}", file=sys.stderr)
        sys.exit(error.exit_code)
    except TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # Typer's own, which it exports nowhere
            print(error.format_message(), file=sys.stderr)
        else:
            print(f"curate: {shown(_wording(error))}; `--help` says what there is", file=sys.stderr)
        sys.exit(UsageError.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        print(ending.SAID, file=sys.stderr)
        sys.exit(ending.INTERRUPTED)
    finally:
        gc.freeze()  # the process ends: nobody needs to know what of its memory is garbage


def _wording(error: TyperException) -> str:
    """What is wrong with the command line, in words of ours where Typer's are a parser's."""
    said = error.format_message().rstrip(".")
    given = sys.argv[1] if len(sys.argv) > 1 else ""
    if said.startswith("No such option") and given.partition("=")[0] in OPTIONS:
        return f"{given} goes behind the verb: curate VERB {given} ..."
    return (
        said.partition("Input should be a valid integer")[0] + "a whole number is wanted" if "integer" in said else said
    )


class _Warnings(logging.StreamHandler[Any]):
    """What verbs warn of, on stderr, a line each; nothing that strangers wrote is obeyed by a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The message, escaped; with its traceback where it has one."""
        return shown(super().format(record)) if record.exc_info is None else super().format(record)


# -- the verbs -------------------------------------------------------------------------------------------------------


@app.command()
@verb
def init(s: Session, folder: Annotated[Path, typer.Argument(metavar="[DIR]")] = Path()) -> None:
    """Write a commented curate.toml and make an empty workspace."""
    from curate.admin.init import write_config
    from curate.config import CONFIG_NAME, load
    from curate.store.workspace import Workspace

    root = s.workspace or folder
    write_config(root)
    Workspace(root, load(root)).close()
    then = "name sources and a contact in curate.toml, and screening lists or why none; `curate doctor` says what lacks"
    s.say({"config": str(root / CONFIG_NAME), "workspace": str(root / "work"), "next": f"{then}; then `curate fetch`"})


@app.command()
@verb
def dedupe(
    s: Session,
    explain: Annotated[
        str | None, typer.Option(metavar="ID", help=f"Only say why a sample is in its group: {NAME}")
    ] = None,
    report: Annotated[bool, typer.Option("--report", help="Also write dedupe.html, its pictures obscured.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="With --report: clear where all is called safe.")] = False,
    against: Annotated[
        str | None, typer.Option(metavar="DIR|RELEASE", help="Hold this set out: what is near to it leaves releases.")
    ] = None,
    forget: Annotated[str | None, typer.Option(metavar="DIR|RELEASE", help="Hold this set out no longer.")] = None,
) -> None:
    """Find exact and near duplicates: groups, survivors, label conflicts."""
    if explain is not None:
        from curate.dedupe import explain as why

        s.say(s.read(lambda ws: why.explain(ws, explain)), why.lines)
        return
    from curate.dedupe.held_out import forget as let_go
    from curate.dedupe.held_out import hold_out

    with s.drive("dedupe") as ws:
        pick.check(ws.config)
        if forget is not None:
            let_go(ws, forget)
        held = {} if against is None else {"against": hold_out(ws, against, s.engine(ws.config), s.progress)}
        result = _dedupe(s, ws)
        if report:
            from curate.report.duplicates import report as page

            result = {**result, "report": str(page(ws, s.progress, clear))}
    finish(s, {**result, **held})


def _dedupe(s: Session, ws: "Workspace") -> Mapping[str, Any]:
    from curate.dedupe.run import dedupe

    result: Mapping[str, Any] = dedupe(ws, s.engine(ws.config), s.progress, pick.embedder(ws.config))
    s.note_void(result)
    for name in result["held_out_upright"]:
        s.note(f"{name}: held out before mirrored, turned and bordered copies were found; give it to --against again")
    return result


@app.command()
@verb
def check(
    s: Session,
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="Holds <split>/<class>/x.jpg.")] = None,
    splits: Annotated[str, typer.Option(help="Names of the splits, separated by commas.")] = "",
    list_: Annotated[Path | None, typer.Option("--list", help="CSV or Parquet of path, label, split, ...")] = None,
    outside: Annotated[bool, typer.Option("--outside", help="Read what links or paths outside DIR lead to.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write one page, its pictures obscured.")] = None,
) -> None:
    """Ask of a dataset you already have: leaks, duplicates, conflicts, shortcuts. Exit 4 when a leak is found."""
    from curate.checks import dataset
    from curate.checks.page import write_page
    from curate.checks.run import check
    from curate.checks.terminal import lines
    from curate.config import Config

    found = dataset.read(folder, list_, [one.strip() for one in splits.split(",") if one.strip()], outside)
    done = check(dataset.some(found, s.limit) if s.limit else found, s.engine(Config()), s.progress)
    result = done.facts
    if report is not None:
        result = result | {"report": str(write_page(report, folder or list_, done, s.progress))}
    finish(s, result, lines, REFUSED if done.leak else 0)


@app.command()
@verb
def label(s: Session) -> None:
    """Score, vote, and turn votes into weak labels, with a report on each labelling function."""
    from curate.admin.following import following

    with s.drive("label") as ws:
        result = {**_label(s, ws), **following(ws)}
    finish(s, result)


def _label(s: Session, ws: "Workspace") -> Mapping[str, Any]:
    from curate.label.functions import functions_of
    from curate.label.run import label
    from curate.store import lost

    labelers = pick.labelers(ws.config)
    gone = lost.note(ws)
    return label(ws, s.engine(ws.config), labelers, functions_of(labelers), s.progress) | gone


@app.command()
@verb
def export(s: Session, version: str) -> None:
    """Freeze a release: train, val and test, behind the gates."""
    with s.drive("export") as ws:
        result = _export(s, ws, version)
    finish(s, result)


def _export(s: Session, ws: "Workspace", version: str) -> Mapping[str, Any]:
    from curate.release.export import export
    from curate.store import lost

    gone = lost.note(ws)
    return export(ws, version, pick.formats(ws.config), s.progress) | gone


@app.command()
@verb
def train(s: Session, version: str) -> None:
    """Train and measure the baseline classifier on a release."""
    from curate.train.run import lines

    with s.drive("train") as ws:
        result = _train(s, ws, version)
    finish(s, result, lines)


def _train(s: Session, ws: "Workspace", version: str) -> Mapping[str, Any]:
    from curate.train.run import train

    return train(ws, version, s.engine(ws.config), pick.backbone(ws.config), s.progress)


@app.command()
@verb
def run(s: Session, version: str) -> None:
    """Fetch, dedupe, label and export, as curate.toml says; a version that exists is left as it is."""
    from curate.release.versions import check_version
    from curate.store.holds import untold

    with s.drive("run", tells=True) as ws:
        pick.check(ws.config)
        known = {row[0] for row in ws.catalog.rows("SELECT version FROM releases")}
        if version not in known:
            check_version(ws, version)  # now, and not after hours
        result: dict[str, Any] = {"fetch": _fetch(s, ws), "dedupe": _dedupe(s, ws)}
        result["label"] = _label(s, ws)
        nothing = incomplete(result["fetch"]) and not result["fetch"]["stored"]
        if version in known:
            s.note(f"release {version} exists and is left as it is; a higher version takes what is new")
        elif not nothing:
            result["export"] = _export(s, ws, version)
        waiting = untold(ws.catalog)
    finish(s, result, code=MATCHED if waiting else 0)


def _fetch(s: Session, ws: "Workspace") -> Mapping[str, Any]:
    """Fetch; where a match ends it, what it did stands under the verb's name, as the rest does."""
    try:
        return fetch.run(s, ws)
    except MatchError as error:
        raise MatchError(str(error), {"fetch": error.facts}) from error


@app.command()
@verb
def status(
    s: Session, since: Annotated[str | None, typer.Option(help="Also what came since: 2026-11-01, 24h, 7d.")] = None
) -> None:
    """Say what the workspace holds, by source and reason."""
    from curate.admin.following import following
    from curate.admin.status import moment, status

    at = moment(since) if since else None
    s.tell(lambda ws: status(ws, at) | following(ws))


@app.command()
@verb
def report(
    s: Session,
    out: Annotated[Path | None, typer.Option(help="Write it there (default: report.html beside curate.toml).")] = None,
) -> None:
    """Write report.html: one self-contained page."""
    from curate.report.run import report

    def write(ws: "Workspace") -> Path:
        if ws.borrowed and out is None:
            raise UsageError(f"{ws.root} cannot be written; say where the report goes (--out FILE)")
        return report(ws, s.progress, out=out)

    s.say({"path": str(s.read(write))})


@app.command()
@verb
def log(s: Session) -> None:
    """Print the append-only log: who did what, when."""
    from curate.admin.status import lately

    s.tell(lambda ws: {"log": lately(ws.catalog, s.limit or 50)})


@app.command()
@verb
def doctor(s: Session) -> None:
    """Say what this machine has and lacks, and how to mend it. Exit 1 when something is broken."""
    from curate.admin.doctor import doctor, lines
    from curate.config import CONFIG_NAME
    from curate.store.workspace import find_root

    root, gate, wrong = s.workspace or find_root(Path.cwd()), None, ""
    if root is not None and (root / CONFIG_NAME).is_file():
        try:
            s.obey()
            pick.check(s.config)
            gate = pick.gate(s.config)
        except CurateError as error:
            wrong = str(error)
    checks = doctor(root, gate, wrong)
    s.say({"checks": [vars(check) for check in checks]}, lines)
    if any(check.ok is False for check in checks):
        raise typer.Exit(1)


@app.command()
@verb
def demo(s: Session, folder: Annotated[Path, typer.Argument(metavar="[DIR]")] = Path("demo")) -> None:
    """Run the whole way on real, harmless images behind a loopback server that behaves as badly as the web."""
    from dataclasses import replace

    from curate.demo.corpus import absent, collect, default_cache
    from curate.demo.evaluation import Demo, prepare, summary, tables
    from curate.demo.server import Server
    from curate.demo.web import build
    from curate.report.run import report

    items = collect(default_cache(), s.note)
    if absent():
        s.note(f"{absent()} optional images of Debian packages are not installed here; the demo goes on without them")
    site = build(items)
    with Server(site) as server:
        prepare(folder, server.authority)
        site.write_lists(server.base_url, folder)
        here = replace(s, workspace=folder)
        with here.drive("demo") as ws:
            result: dict[str, Any] = {"fetch": fetch.run(here, ws)}
            result |= {"dedupe": _dedupe(here, ws), "label": _label(here, ws)}
            result |= {"export": _export(here, ws, "1.0.0"), "train": _train(here, ws, "1.0.0")}
            done = Demo(ws, site.truth(server.base_url), site.pairs(server.base_url))
            account, folds = done.account(), done.cross_validated(pick.backbone(ws.config))
            five = _five(s, folder / "five", items)
            shown = [*tables(done, account, folds), five.pop("table")]
            result |= {"demo": account, "crossvalidation": folds, "five": five}
            result["report"] = str(report(ws, s.progress, {"tables": shown}))
    finish(s, result, lambda _: iter(summary(shown, result)))


def _five(s: Session, folder: Path, items: "Sequence[Item]") -> dict[str, Any]:
    """The demo's second workspace: what becomes of five declared classes."""
    from dataclasses import replace

    from curate.demo.five import account, prepare, table

    prepare(folder, items)
    here = replace(s, workspace=folder)
    with here.drive("demo") as ws:
        fetch.run(here, ws)
        _dedupe(here, ws)
        _label(here, ws)
        _export(here, ws, "1.0.0")
        found = account(ws)
    return found | {"table": table(found)}


if __name__ == "__main__":
    main()
