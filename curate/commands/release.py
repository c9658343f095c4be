"""`curate export`, `curate diff`, `curate share` and `curate hydrate`."""

from typing import TYPE_CHECKING, Annotated

import typer

from curate.commands.app import ACKNOWLEDGE, MATCHED, REFUSED, finish, verb
from curate.commands.context import Context
from curate.store.workspace import find_root, here

if TYPE_CHECKING:
    pass


@verb
def export(
    ctx: Context,
    version: Annotated[str | None, typer.Argument(help="Left out: the next by what changed since the last.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would be; writes nothing.")] = False,
    format: Annotated[
        list[str] | None,
        typer.Option(
            help="Write it in this format, and not in those of [export] formats; of a release that exists, too."
        ),
    ] = None,
    acknowledge: Annotated[str | None, typer.Option(help=ACKNOWLEDGE)] = None,
) -> None:
    """Freeze a release: train, val and test, behind the gates."""
    if dry_run:
        found = ctx.project.plan_export(version, format or (), acknowledge)
        finish(ctx, found, code=REFUSED if found["refused"] else 0, asked=True)
        return
    finish(ctx, ctx.project.export(version, format or (), acknowledge).facts)


@verb
def diff(
    ctx: Context,
    before: Annotated[str, typer.Argument(metavar="A", help="A version of this workspace, or a release's folder.")],
    after: Annotated[str, typer.Argument(metavar="B", help="The same, to compare it with.")],
) -> None:
    """Say what changed from one release to another: rows, labels, splits, counts."""
    from curate.release import diff as releases

    if ctx.workspace is None and find_root(here()) is None:
        ctx.say(releases.diff(None, before, after), releases.lines, asked=True)
        return
    ctx.say(ctx.project.diff(before, after), releases.lines, asked=True)


@verb
def share(
    ctx: Context, version: str, to: Annotated[str, typer.Option(help="Who was given it: a name, kept in the catalog.")]
) -> None:
    """Write down who was given a release, so that a takedown can name them. Sends nothing."""
    ctx.say(ctx.project.share(version, to))


@verb
def hydrate(
    ctx: Context,
    release: Annotated[
        str, typer.Argument(metavar="RELEASE", help="Folder of an exported urls or parquet, or its address.")
    ],
    removals: Annotated[
        str | None, typer.Option(metavar="PLACE", help="The feed of what was taken out of it (default: as it says).")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="By which public key it is signed (default: as the first time).")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why classes that are not safe are fetched.")] = None,
    approved_by: Annotated[str | None, typer.Option(help="Who answers for that.")] = None,
    max_failures: Annotated[int | None, typer.Option(help="Exit 3 when more rows failed.")] = None,
) -> None:
    """Fetch somebody's release anew from its URLs, behind your own guard and gate; removals first."""
    from curate.removal.receipts import told

    found = ctx.project.hydrate(release, removals, reason, approved_by, ctx.limit, max_failures, key)
    finish(ctx, found if ctx.json else told(found), code=MATCHED if found.open_incidents else 0)
