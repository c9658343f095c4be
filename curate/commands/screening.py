"""`curate screening ...` and `curate quarantine`."""

from typing import Annotated

import typer

from curate.commands import pick
from curate.commands.base import NAME, app, finish, verb
from curate.coverage import over
from curate.session import Session

group = typer.Typer(no_args_is_help=True, help="The screening gate: lists, incidents, screening again.")
SHOWN = 20  # corrupt and doubtful rows that are named


@app.command()
@verb
def quarantine(
    s: Session,
    name: Annotated[str, typer.Argument(metavar="ID", help=NAME)],
    reason: Annotated[str, typer.Option(help="Why; kept with the incident.")],
    group: Annotated[bool, typer.Option(help="Also its near-duplicates and its albums.")] = False,
) -> None:
    """Hold a sample back at once: out of queues, views, tables and the next release, until the operator decides."""
    from curate.quarantine import quarantine
    from curate.store import lookup

    with s.open() as ws:
        incident = quarantine(ws.catalog, lookup.one(ws.catalog, name), reason, group=group, actor=s.user)
    s.say({"incident": incident})


@group.command("status")
@verb
def screening_status(s: Session) -> None:
    """Say which lists are loaded, how old they are, whether the gate can answer, and which incidents there are."""
    from curate.incident import overview

    gate = pick.gate(s.config)
    with s.open() as ws:
        result = gate.summary() | overview(ws)
    s.say(result | {"rows": {one.name: [*one.corrupt, *one.doubts][:SHOWN] for one in gate.lists}})
    if gate.problems:
        raise typer.Exit(4)


@group.command("incident")
@verb
def screening_incident(
    s: Session,
    number: Annotated[int, typer.Argument(metavar="ID")],
    for_report: Annotated[bool, typer.Option(help="Also what a hotline asks for: where and when; logged.")] = False,
) -> None:
    """Say what is on record of a match or a report. Never a picture."""
    from curate.incident import incident

    with s.open() as ws:
        s.say(incident(ws, number, for_report))


@group.command("release")
@verb
def screening_release(
    s: Session,
    number: Annotated[int, typer.Argument(metavar="ID")],
    reason: Annotated[str, typer.Option(help="Why; kept with the incident.")],
) -> None:
    """Let go of what came with a match, or of what a person reported. Never of what a list matched."""
    from curate.incident import release

    with s.open() as ws:
        s.say(release(ws.catalog, number, reason, s.user))


@group.command("rescan")
@verb
def screening_rescan(s: Session) -> None:
    """Screen all stored samples again, from stored hashes; remove what matches. Exit 5 when something did."""
    from curate.rescan import rescan

    with s.drive("rescan") as ws:
        result = rescan(ws, pick.gate(s.config), s.engine(ws.config), s.progress)
    finish(s, over(result["samples"], result["unhashed"]) | result, code=5 if result["matched"] else 0)
