"""Looking after a workspace: `curate init`, `status`, `log`, `doctor`."""

from pathlib import Path
from typing import Annotated

import typer

from curate.commands.app import verb
from curate.commands.context import Context


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
def doctor(ctx: Context) -> None:
    """Say what this machine has and lacks, and how to mend it. Exit 1 when something is broken."""
    from curate.admin.doctor import lines
    from curate.admin.session import Session
    from curate.admin.verifying import examined
    from curate.store.workspace import find_root

    root = ctx.workspace or find_root(Path.cwd())
    checks = examined(root, None if root is None else Session(root, ctx.quiet, ctx.verbose))
    ctx.say({"checks": [vars(check) for check in checks]}, lines)
    if any(check.ok is False for check in checks):
        raise typer.Exit(1)
