"""`curate export` and `curate share`."""

from typing import TYPE_CHECKING, Annotated

import typer

from curate.commands.app import finish, verb
from curate.commands.context import Context

if TYPE_CHECKING:
    pass


@verb
def export(
    ctx: Context,
    version: str,
    format: Annotated[
        list[str] | None,
        typer.Option(
            help="Write it in this format, and not in those of [export] formats; of a release that exists, too."
        ),
    ] = None,
    acknowledge: Annotated[
        str | None,
        typer.Option(
            help="Who answers for it, and why, that pictures of classes leave that are not safe; kept with them."
        ),
    ] = None,
) -> None:
    """Freeze a release: train, val and test, behind the gates."""
    finish(ctx, ctx.project.export(version, format or (), acknowledge).facts)


@verb
def share(
    ctx: Context, version: str, to: Annotated[str, typer.Option(help="Who was given it: a name, kept in the catalog.")]
) -> None:
    """Write down who was given a release, so that a takedown can name them. Sends nothing."""
    ctx.say(ctx.project.share(version, to))
