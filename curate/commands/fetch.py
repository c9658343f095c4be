"""`curate fetch` and `curate sources ...`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.commands.app import MATCHED, finish, verb
from curate.commands.context import Context
from curate.errors import UsageError

if TYPE_CHECKING:
    pass

group = typer.Typer(no_args_is_help=True, help="Sources: look into them without fetching.")


@verb
def fetch(
    ctx: Context,
    reasons: Annotated[list[str] | None, typer.Argument(metavar="[REASON...]", help="With --retry-failed.")] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask again for what failed for REASONs worth retrying.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="With REASONs: also for those that are answers.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only say how much there is, and what it will cost.")] = False,
    sync: Annotated[bool, typer.Option("--sync", help="Only mark what is deleted or changed upstream.")] = False,
    relist: Annotated[
        bool, typer.Option("--relist", help="List every source again from its start: adds what is new.")
    ] = False,
    sample: Annotated[
        int | None,
        typer.Option(min=1, help="Only ask for N in all, of each class and host some, at random; say the yield."),
    ] = None,
    max_failures: Annotated[int | None, typer.Option(help="Exit 3 when more candidates failed.")] = None,
) -> None:
    """Run every source; what is stored is not asked for again."""
    if reasons and not retry_failed:
        raise UsageError(f"fetch {reasons[0]}: reasons go with --retry-failed")
    if force and not retry_failed:
        raise UsageError("fetch: --force goes with --retry-failed REASON")
    if (retry_failed or relist or sample is not None) + plan + sync > 1:
        raise UsageError("fetch: --plan and --sync go alone")
    if sample is not None and ctx.limit is not None:
        raise UsageError("fetch: --sample says how many; take --limit out")
    project = ctx.project
    if plan or sync:
        found = project.plan() if plan else project.sync()
    else:
        again = (reasons or []) if retry_failed else None
        found = project.fetch(ctx.limit, sample, relist, again, force, max_failures)
    finish(ctx, found, code=MATCHED if found.open_incidents else 0, asked=plan)


@group.command("inspect")
@verb
def sources_inspect(ctx: Context, path: Path) -> None:
    """Count what URL lists hold, offline: lines, duplicates, conflicts, hosts, what is denied. Prints no URL."""
    from curate.fetch.inspect_lists import inspect

    ctx.say(inspect(path), asked=True)
