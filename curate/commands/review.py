"""`curate review`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.commands.app import verb
from curate.commands.context import Context
from curate.errors import UsageError

if TYPE_CHECKING:
    pass

INTERRUPTED = 130


@verb
def review(
    ctx: Context,
    queue: Annotated[str, typer.Argument(metavar="[QUEUE]")] = "uncertain",
    reviewer: Annotated[str | None, typer.Option(help="Who judges: a name or a pseudonym; it goes on record.")] = None,
    size: Annotated[int, typer.Option(min=1, help="Items of a queue that is not drawn yet.")] = 200,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
    unobscured: Annotated[bool, typer.Option("--unobscured", help="Show clear pictures; goes on record.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 is a free one.")] = 0,
    address: Annotated[str, typer.Option(help="Anything but loopback needs --cert and --key.")] = "127.0.0.1",
    cert: Annotated[Path | None, typer.Option(help="TLS certificate chain (PEM).")] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key (PEM).")] = None,
    stats: Annotated[bool, typer.Option("--stats", help="Only print agreement and accuracy on gold items.")] = False,
) -> None:
    """Work through a queue in the browser: obscured by default, blind where it counts, one key a decision."""
    from curate.review.app.server import Options, say_url

    if stats:
        ctx.say(ctx.project.agreement(reviewer), asked=True)
        return
    if reviewer is None:
        raise UsageError("review: say who judges (--reviewer NAME)")
    options = Options(port, address, cert, key, not no_browser, unobscured)
    result = ctx.project.review(queue, reviewer, options, size, ctx.note if ctx.json else say_url)
    ctx.say(result)
    if result["closed_by"] == "SIGINT":
        raise typer.Exit(INTERRUPTED)
