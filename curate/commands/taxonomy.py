"""`curate taxonomy diff` and `curate relabel`: a policy that changes."""

from pathlib import Path
from typing import Annotated

import typer

from curate.commands.app import finish, verb
from curate.commands.context import Context

taxonomy = typer.Typer(no_args_is_help=True, help="Taxonomies: what differs between two.")


@taxonomy.command("diff")
@verb
def diff(
    ctx: Context,
    old: Annotated[Path, typer.Argument(metavar="OLD.toml", help="A config file with the taxonomy as it was.")],
    new: Annotated[Path, typer.Argument(metavar="NEW.toml", help="And as it is to be.")],
) -> None:
    """Say which classes came, went or changed sides between two config files, and write a mapping to start from."""
    from curate.label.taxonomy.compare import diff as compare
    from curate.label.taxonomy.compare import lines, read

    ctx.say(compare(read(old), read(new)), lines, asked=True)


@verb
def relabel(
    ctx: Context,
    mapping: Annotated[Path, typer.Option(metavar="FILE.toml", help="What became of each class (docs/taxonomy.md).")],
) -> None:
    """Follow a change of the taxonomy: carry decisions over, queue what must be decided anew, label again."""
    from curate.label.taxonomy.carry import lines

    finish(ctx, ctx.project.relabel(mapping), lines)
