"""Looking after a workspace: `curate init`, `status`, `log`, `doctor`."""

from pathlib import Path
from typing import Annotated

import typer

from curate import configured
from curate.commands.app import verb
from curate.commands.context import Context
from curate.errors import CurateError


@verb
def init(ctx: Context, folder: Annotated[Path, typer.Argument(metavar="[DIR]")] = Path()) -> None:
    """Write a commented curate.toml and make an empty workspace."""
    from curate.admin.init import write_config
    from curate.config import CONFIG_NAME, load
    from curate.store.workspace import Workspace

    root = ctx.workspace or folder
    write_config(root)
    Workspace(root, load(root)).close()
    then = "name sources and a contact in curate.toml, and screening lists or why none; `curate doctor` says what lacks"
    ctx.say(
        {"config": str(root / CONFIG_NAME), "workspace": str(root / "work"), "next": f"{then}; then `curate fetch`"}
    )


@verb
def status(
    ctx: Context, since: Annotated[str | None, typer.Option(help="Also what came since: 2026-11-01, 24h, 7d.")] = None
) -> None:
    """Say what the workspace holds, by source and reason."""
    from curate.admin.following import following
    from curate.admin.status import moment, status

    at = moment(since) if since else None
    ctx.tell(lambda ws: status(ws, at) | following(ws))


@verb
def log(ctx: Context) -> None:
    """Print the append-only log: who did what, when."""
    from curate.admin.status import lately

    ctx.tell(lambda ws: {"log": lately(ws.catalog, ctx.limit or 50)})


@verb
def doctor(ctx: Context) -> None:
    """Say what this machine has and lacks, and how to mend it. Exit 1 when something is broken."""
    from curate.admin.doctor import doctor, lines
    from curate.config import CONFIG_NAME
    from curate.store.workspace import find_root

    root, gate, wrong = ctx.workspace or find_root(Path.cwd()), None, ""
    if root is not None and (root / CONFIG_NAME).is_file():
        try:
            ctx.obey()
            configured.check(ctx.config)
            gate = configured.gate(ctx.config)
        except CurateError as error:
            wrong = str(error)
    checks = doctor(root, gate, wrong)
    ctx.say({"checks": [vars(check) for check in checks]}, lines)
    if any(check.ok is False for check in checks):
        raise typer.Exit(1)
