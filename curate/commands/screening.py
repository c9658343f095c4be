"""`curate screening ...` and `curate quarantine`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.admin.session import untold_said
from curate.commands.app import INCOMPLETE, MATCHED, NAME, finish, verb
from curate.commands.context import Context
from curate.errors import UsageError
from curate.progress import tell

if TYPE_CHECKING:
    pass

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
    ctx.say(ctx.project.quarantine(name, reason, group))


@group.command("status")
@verb
def screening_status(ctx: Context) -> None:
    """Say which lists are loaded, how old they are, which entries are in doubt, and which incidents there are."""
    result = ctx.project.screening_status()
    ctx.say(result, asked=True)
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
    if set_aside and restore:
        raise UsageError("screening entry: --set-aside and --restore go alone")
    act = "set aside" if set_aside else "restore" if restore else None
    ctx.say(ctx.project.screening_entry(name, act, reason, by, only, all_lists, report), asked=act is None)


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
    ctx.say(ctx.project.incident(number, for_report), asked=True)


@group.command("acknowledge")
@verb
def screening_acknowledge(
    ctx: Context,
    number: Annotated[int, typer.Argument(metavar="ID")],
    by: Annotated[str, typer.Option(help="Who was told, and follows the procedure.")],
) -> None:
    """Say that somebody knows of an incident: `fetch` ends with 5 no longer for it. Lets go of nothing."""
    ctx.say(ctx.project.acknowledge(number, by))


@group.command("dispute")
@verb
def screening_dispute(
    ctx: Context,
    number: Annotated[int, typer.Argument(metavar="ID")],
    by: Annotated[str, typer.Option(help="Who says so: a name of [screening] entitled.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the incident.")],
) -> None:
    """Mark a match as false, from what is on record of it. Lets go of nothing."""
    ctx.say(ctx.project.dispute(number, by, reason))


@group.command("release")
@verb
def screening_release(
    ctx: Context,
    number: Annotated[int, typer.Argument(metavar="ID")],
    reason: Annotated[str, typer.Option(help="Why; kept with the incident.")],
) -> None:
    """Let go of what came with a match, or of what a person reported; of a match itself once its entry is set aside."""
    result = ctx.project.release_incident(number, reason)
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
    ctx.say(ctx.project.close_incident(number, by, reason))


@group.command("rescan")
@verb
def screening_rescan(ctx: Context) -> None:
    """Screen all stored samples again, from stored hashes; remove what matches. Exit 5 when something did."""
    result = ctx.project.rescan()
    if new := [one for one in result.open_incidents if one in result["incidents"]]:
        tell(f"curate: {untold_said(new)}")
    finish(ctx, result, code=MATCHED if result["matched"] or result.open_incidents else 0)
