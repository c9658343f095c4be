"""`curate fetch` and `curate sources ...`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.commands import pick
from curate.commands.app import MATCHED, finish, verb
from curate.commands.context import NO_CONTACT, Context
from curate.errors import CurateError, UsageError

if TYPE_CHECKING:
    from curate.contracts import Source
    from curate.store.workspace import Workspace

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
    from curate.fetch.coverage import too_many, totals
    from curate.fetch.listing import relist as begin_again
    from curate.fetch.reopen import retry
    from curate.store.holds import untold

    if reasons and not retry_failed:
        raise UsageError(f"fetch {reasons[0]}: reasons go with --retry-failed")
    if force and not retry_failed:
        raise UsageError("fetch: --force goes with --retry-failed REASON")
    if (retry_failed or relist or sample is not None) + plan + sync > 1:
        raise UsageError("fetch: --plan and --sync go alone")
    if sample is not None and ctx.limit is not None:
        raise UsageError("fetch: --sample says how many; take --limit out")
    with ctx.drive("fetch", tells=True) as ws:
        pick.check(ws.config)
        if relist:
            begin_again(ws.catalog)
        if retry_failed:
            ctx.note(f"{retry(ws.catalog, reasons or [], force)} failed candidates are asked for again")
        if sync:
            result: dict[str, Any] = {"sync": _sync(ctx, ws), **totals(ws)}
        else:
            result = _plan(ctx, ws) if plan else run(ctx, ws, sample)
        if why := too_many(result, max_failures):
            result = dict(result) | {"incomplete": why}
        waiting, ws.said = untold(ws.catalog), result
    finish(ctx, result, code=MATCHED if waiting else 0)


def run(ctx: Context, ws: "Workspace", sample: int | None = None) -> dict[str, Any]:
    """Fetch, as the configuration says."""
    from curate.fetch.moved import follow
    from curate.fetch.run import fetch
    from curate.screening.incidents import expire

    config = ws.config
    engine = ctx.engine(config)
    sources, gate = pick.sources(config), pick.gate(config, ws.catalog)
    expire(ws, strays=True)
    moved = follow(ws.catalog, sources, ctx.progress)
    found = fetch(ws, sources, ctx.client(config), gate, engine, ctx.progress, ctx.limit, sample) | {"moved": moved}
    for line in left_over(ws, found):
        ctx.note(line)
    return found


def left_over(ws: "Workspace", found: dict[str, Any]) -> list[str]:
    """What a fetch left for another one, each with the command that asks for it."""
    from curate.fetch.coverage import former, passing
    from curate.fetch.reasons import table_of

    lines = [
        f"{n} that failed by [{table_of(key)}] {key} were asked again: it has changed"
        for key, n in found["reopened"].items()
    ]
    if found["moved"]:
        lines.append(f"{found['moved']} files are known again, at another place")
    if hosts := found["deferred_hosts"]:
        lines.append(
            f"{hosts} hosts kept failing, or want long waits, and were left alone: what was not asked of them is still"
            " pending; `curate fetch` asks again"
        )
    sources, candidates = former(ws.catalog)
    if candidates:
        lines.append(
            f"{sources} sources that curate.toml does not name any more have {candidates} candidates that stay; `curate"
            " status` lists them, `curate takedown` removes what is not wanted"
        )
    if failed := passing(ws):
        lines.append(f"{failed} failed for a reason that may pass; `curate fetch --retry-failed` asks again")
    return lines


def _sync(ctx: Context, ws: "Workspace") -> dict[str, Any]:
    from curate.fetch.sync import sync

    return sync(ws, pick.sources(ws.config), ctx.client(ws.config), ctx.progress)


def _plan(ctx: Context, ws: "Workspace") -> dict[str, Any]:
    from curate.fetch.plan import plan

    sources = pick.sources(ws.config)
    found = plan(ws, sources, ctx.client(ws.config), ctx.progress)
    why = _refusal(ws, sources) or (NO_CONTACT if found["hosts"] and ws.config.fetch.contact is None else None)
    if why:
        ctx.note(f"`curate fetch` would refuse this: {why}")
    return found | {"refusal": why}


def _refusal(ws: "Workspace", sources: "Sequence[Source]") -> str | None:
    """Why `fetch` would not begin with these sources; None where it would."""
    from curate.fetch.admission import admit

    try:
        admit(ws.config, sources, pick.gate(ws.config, ws.catalog))
    except CurateError as error:
        return str(error)
    return None


@group.command("inspect")
@verb
def sources_inspect(ctx: Context, path: Path) -> None:
    """Count what URL lists hold, offline: lines, duplicates, conflicts, hosts, what is denied. Prints no URL."""
    from curate.fetch.inspect_lists import inspect

    ctx.say(inspect(path))
