"""Looking after a workspace: `curate init`, `new`, `status`, `log`, `doctor`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.commands.app import verb
from curate.commands.context import Context

if TYPE_CHECKING:
    from curate.admin.doctor import Check
    from curate.admin.session import Session


@verb
def init(ctx: Context, folder: Annotated[Path, typer.Argument(metavar="[DIR]")] = Path()) -> None:
    """Write a commented curate.toml and make an empty workspace."""
    from curate.config import CONFIG_NAME
    from curate.project import init as make

    root = ctx.workspace or folder
    make(root)
    then = "name sources and a contact in curate.toml, and screening lists or why none; `curate doctor` says what lacks"
    ctx.say(
        {"config": str(root / CONFIG_NAME), "workspace": str(root / "work"), "next": f"{then}; then `curate fetch`"}
    )


@verb
def new(
    ctx: Context,
    kind: Annotated[str, typer.Argument(help="source, labeler, format.")],
    name: Annotated[str, typer.Argument(help="What it is called: small letters, digits, _.")],
) -> None:
    """Write a commented plug-in of your own, beside curate.toml, to start from."""
    from curate.admin.new import new
    from curate.store.workspace import find_root, here

    ctx.say(new(kind, name, ctx.workspace or find_root(here()) or Path()))


@verb
def status(
    ctx: Context, since: Annotated[str | None, typer.Option(help="Also what came since: 2026-11-01, 24h, 7d.")] = None
) -> None:
    """Say what the workspace holds, by source and reason."""
    ctx.said(ctx.project.status, since)


@verb
def log(ctx: Context) -> None:
    """Print the append-only log: who did what, when."""
    ctx.said(ctx.project.log, ctx.limit or 50)


@verb
def doctor(
    ctx: Context,
    plugin: Annotated[Path | None, typer.Option(help="Only try this file, a plug-in of your own.")] = None,
) -> None:
    """Say what this machine has and lacks, and how to mend it. Exit 1 when something is broken.

    Of a plug-in: 3 where its behaviour could not be tried."""
    from curate.admin.doctor import lines
    from curate.admin.session import Session
    from curate.admin.verifying import examined
    from curate.store.workspace import find_root, here

    root = ctx.workspace or find_root(here())
    session = None if root is None else Session(root, ctx.quiet, ctx.verbose)
    checks = examined(root, session) if plugin is None else _plugin(plugin, session)
    ctx.say({"checks": [vars(check) for check in checks]}, lines, asked=True)
    if any(check.ok is False for check in checks):
        raise typer.Exit(1)
    if plugin is not None and any(check.ok is None for check in checks):
        raise typer.Exit(3)


def _plugin(path: Path, session: "Session | None") -> "list[Check]":
    from curate.admin import configured
    from curate.admin.doctor import Check
    from curate.config import CONFIG_NAME
    from curate.testing.diagnosis import diagnose

    remedy = "CONTRIBUTING.md has examples, curate/contracts.py the contracts"
    there = session is not None and (session.root / CONFIG_NAME).is_file()
    config = session.config if session is not None and there else None
    tables = [] if config is None else configured.tables(config)
    axes = [] if config is None else config.taxonomy.axes
    return [Check(*one, remedy) for one in diagnose(path, tables, axes)]
