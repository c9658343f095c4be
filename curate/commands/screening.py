"""`curate screening ...` and `curate quarantine`."""

from typing import Annotated

import typer

from curate.commands import pick
from curate.commands.base import app, verb
from curate.session import Session

group = typer.Typer(no_args_is_help=True, help="The screening gate: what is loaded.")


@app.command()
@verb
def quarantine(
    s: Session,
    name: Annotated[str, typer.Argument(metavar="ID", help="sha256 (8 digits and more), URL, path or commons:PAGEID.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the incident.")],
    group: Annotated[bool, typer.Option(help="Also its near-duplicates and its albums.")] = False,
) -> None:
    """Hold a sample back at once: out of queues, views, tables and the next release, until the operator decides."""
    from curate.quarantine import quarantine, resolve

    with s.open() as ws:
        incident = quarantine(ws.catalog, resolve(ws.catalog, name), reason, group=group, actor=s.user)
    s.say({"incident": incident})


@group.command("status")
@verb
def screening_status(s: Session) -> None:
    """Say which lists are loaded, how old they are, and whether the gate can answer."""
    gate = pick.gate(s.config)
    s.say(gate.summary())
    if gate.problems:
        raise typer.Exit(4)
