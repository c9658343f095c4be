"""`curate keys new`: what releases are signed with."""

from pathlib import Path
from typing import Annotated

import typer

from curate.commands.app import verb
from curate.commands.context import Context

group = typer.Typer(no_args_is_help=True, help="Keys that releases are signed with.")


@group.command("new")
@verb
def new(
    ctx: Context,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The secret key; the public one is FILE.pub.")],
) -> None:
    """Make a key in minisign's format, for `[export] signing_key`; keep it outside of what you hand on."""
    from curate.release.signing import has_password
    from curate.release.signing import new as made

    public = f"{path}.pub"
    following = f'in curate.toml: [export] signing_key = "{path.absolute()}"; give {public} to anybody'
    said = {"public": made(path), "secret": str(path), "public_file": public, "password": has_password()}
    ctx.say({**said, "next": following}, asked=True)
