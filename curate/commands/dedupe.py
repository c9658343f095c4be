"""`curate dedupe`."""

from typing import TYPE_CHECKING, Annotated

import typer

from curate.commands.app import NAME, finish, verb
from curate.commands.context import Context

if TYPE_CHECKING:
    pass


@verb
def dedupe(
    ctx: Context,
    explain: Annotated[
        str | None, typer.Option(metavar="ID", help=f"Only say why a sample is in its group: {NAME}")
    ] = None,
    report: Annotated[bool, typer.Option("--report", help="Also write dedupe.html, its pictures obscured.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="With --report: clear where all is called safe.")] = False,
    against: Annotated[
        str | None, typer.Option(metavar="DIR|RELEASE", help="Hold this set out: what is near to it leaves releases.")
    ] = None,
    forget: Annotated[str | None, typer.Option(metavar="DIR|RELEASE", help="Hold this set out no longer.")] = None,
    from_gate: Annotated[
        bool, typer.Option("--from-gate", help="Join into groups what an export's second look refuses.")
    ] = False,
) -> None:
    """Find exact and near duplicates: groups, survivors, label conflicts."""
    if explain is not None:
        from curate.dedupe.explain import lines

        ctx.say(ctx.project.explain(explain), lines, asked=True)
        return
    finish(ctx, ctx.project.dedupe(against, forget, report, clear, from_gate))
