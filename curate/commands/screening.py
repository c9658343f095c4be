"""`curate screening ...` and `curate quarantine`."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.commands import pick
from curate.commands.app import INCOMPLETE, MATCHED, NAME, finish, verb
from curate.commands.context import Context, untold_said
from curate.coverage import over
from curate.errors import UsageError

if TYPE_CHECKING:
    from curate.screening.gate import Gate
    from curate.store.workspace import Workspace

group = typer.Typer(no_args_is_help=True, help="The screening gate: lists, incidents, screening again.")
SHOWN = 20  # corrupt and doubtful rows that are named


@verb
def quarantine(
    ctx: Context,
    name: Annotated[str, typer.Argument(metavar="ID", help=NAME)],
    reason: Annotated[str, typer.Option(help="Why; kept with the incident.")],
    group: Annotated[bool, typer.Option("--group", help="Also its near-duplicates and its albums.")] = False,
) -> None:
    """Hold a sample back at once: out of queues, views, tables and the next release, until the operator decides."""
    from curate.screening.incidents import following
    from curate.screening.quarantine import quarantine
    from curate.store import holds, lookup

    with ctx.open() as ws:
        sample = lookup.one(ws.catalog, name)
        incident = quarantine(ws.catalog, sample, reason, group=group, actor=ctx.user, told=True)
        held = len(holds.held_by(ws.catalog, incident))
    ctx.say({"incident": incident, "held_samples": held, "next": following(incident, "person", "open")})


@group.command("status")
@verb
def screening_status(ctx: Context) -> None:
    """Say which lists are loaded, how old they are, which entries are in doubt, and which incidents there are."""
    from curate.screening.misfires import suspicious
    from curate.screening.overview import incidents, overview
    from curate.screening.set_aside import in_force

    def look(ws: "Workspace") -> tuple["Gate", dict[str, Any]]:
        gate = pick.gate(ctx.config, ws.catalog)
        doubted = suspicious(ws.catalog, gate)
        result = gate.summary() | overview(ws, gate) | {"suspicious": doubted[:SHOWN], "suspected": len(doubted)}
        result |= {"incident": incidents(ws.catalog, SHOWN)}
        return gate, result | {"set_aside": [asdict(one) for one in in_force(ws.catalog)]}

    gate, result = ctx.read(look)
    if result["problems"]:
        refused = "; nothing is fetched" if gate.problems or gate.required else ""
        ctx.note(f"screening cannot answer: {result['problems'][0]}{refused}; {gate.remedy}")
    elif gate.banner is not None:
        ctx.note(gate.banner)
    ctx.say(result | {"rows": {one.name: [*one.corrupt, *one.doubts][:SHOWN] for one in gate.lists}})
    if result["problems"]:
        raise typer.Exit(4)


@group.command("entry")
@verb
def screening_entry(
    ctx: Context,
    name: Annotated[str, typer.Argument(metavar="HASH", help="A hash of a list, or its first 8 digits and more.")],
    set_aside: Annotated[bool, typer.Option("--set-aside", help="Let it match nothing from now on.")] = False,
    restore: Annotated[bool, typer.Option("--restore", help="Let it match again.")] = False,
    reason: Annotated[str, typer.Option(help="Why; kept, and given to the list's owner.")] = "",
    by: Annotated[str | None, typer.Option(help="Who says so (default: the user).")] = None,
    only: Annotated[str | None, typer.Option("--list", help="Of this list, where several have it.")] = None,
    all_lists: Annotated[bool, typer.Option("--all-lists", help="Of every list that has it.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write for the list's owner that it is wrong.")] = None,
) -> None:
    """Say what one hash of the lists has matched; set it aside where it is wrong, or report it. Shows no picture."""
    from curate.screening import entry
    from curate.store.reviewer import reviewer_name

    who = ctx.user if by is None else reviewer_name(by, "--by")
    if set_aside and restore:
        raise UsageError("screening entry: --set-aside and --restore go alone")
    with ctx.drive("entry") if set_aside or restore else ctx.open() as ws:
        found = entry.find(ws.catalog, pick.lists(ctx.config), name)
        act = entry.aside if set_aside else entry.restore if restore else None
        chosen = found.chosen(only, all_lists or not (act or report))
        result = act(ws.catalog, found, chosen, who, reason) if act else entry.describe(ws.catalog, found)
        if report is not None:
            result |= entry.report(ws.catalog, found, chosen, report)
    ctx.say(result)


@group.command("incident")
@verb
def screening_incident(
    ctx: Context,
    number: Annotated[int | None, typer.Argument(metavar="[ID]")] = None,
    for_report: Annotated[
        bool, typer.Option("--for-report", help="Also what a hotline asks for: where and when; logged.")
    ] = False,
) -> None:
    """Say what is on record of a match or a report, and what else its entry has matched. Never a picture. Without ID:
    which incidents there are."""
    from curate.screening.incidents import incident
    from curate.screening.overview import incidents

    with ctx.open() as ws:
        ctx.say({"incidents": incidents(ws.catalog)} if number is None else incident(ws, number, for_report))


@group.command("acknowledge")
@verb
def screening_acknowledge(
    ctx: Context,
    number: Annotated[int, typer.Argument(metavar="ID")],
    by: Annotated[str, typer.Option(help="Who was told, and follows the procedure.")],
) -> None:
    """Say that somebody knows of an incident: `fetch` ends with 5 no longer for it. Lets go of nothing."""
    from curate.screening.incidents import acknowledge

    with ctx.open(late=True) as ws:
        ctx.say(acknowledge(ws.catalog, number, by))


@group.command("dispute")
@verb
def screening_dispute(
    ctx: Context,
    number: Annotated[int, typer.Argument(metavar="ID")],
    by: Annotated[str, typer.Option(help="Who says so: a name of [screening] entitled.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the incident.")],
) -> None:
    """Mark a match as false, from what is on record of it. Lets go of nothing."""
    from curate.screening.incidents import dispute

    with ctx.open(late=True) as ws:
        ctx.say(dispute(ws, number, by, reason))


@group.command("release")
@verb
def screening_release(
    ctx: Context,
    number: Annotated[int, typer.Argument(metavar="ID")],
    reason: Annotated[str, typer.Option(help="Why; kept with the incident.")],
) -> None:
    """Let go of what came with a match, or of what a person reported; of a match itself once its entry is set aside."""
    from curate.screening.incidents import release

    with ctx.drive("release", late=True) as ws:
        result = release(ws, number, reason, ctx.user, ws.config.screening.entitled)
    finish(ctx, result, code=INCOMPLETE if result.get("nothing") else 0)


@group.command("close")
@verb
def screening_close(
    ctx: Context,
    number: Annotated[int, typer.Argument(metavar="ID")],
    by: Annotated[str, typer.Option(help="Who closes it.")],
    reason: Annotated[str, typer.Option(help="Where it was reported; kept with the incident.")],
) -> None:
    """End an incident that was true and was reported: what matched stays out for good. Lets go of nothing."""
    from curate.screening.incidents import close

    with ctx.drive("close", late=True) as ws:
        ctx.say(close(ws, number, by, reason))


@group.command("rescan")
@verb
def screening_rescan(ctx: Context) -> None:
    """Screen all stored samples again, from stored hashes; remove what matches. Exit 5 when something did."""
    from curate.removal.rescan import rescan
    from curate.store.holds import untold

    with ctx.drive("rescan", tells=True) as ws:
        result = rescan(ws, pick.gate(ctx.config, ws.catalog), ctx.engine(ws.config), ctx.progress)
        waiting = untold(ws.catalog)
    ctx.note_void(result)
    if new := [one for one in waiting if one in result["incidents"]]:
        print(f"curate: {untold_said(new)}", file=sys.stderr)
    finish(
        ctx, over(result["samples"], result["unhashed"]) | result, code=MATCHED if result["matched"] or waiting else 0
    )
