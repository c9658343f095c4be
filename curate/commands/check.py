"""`curate check`."""

import os
import shlex
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.admin.session import Session
from curate.commands.app import REFUSED, finish, verb
from curate.commands.context import Context
from curate.errors import UsageError

if TYPE_CHECKING:
    from curate.checks.run import Checked


@verb
def check(
    ctx: Context,
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="Holds <split>/<class>/x.jpg.")] = None,
    splits: Annotated[str, typer.Option(help="Names of the splits, separated by commas.")] = "",
    list_: Annotated[Path | None, typer.Option("--list", help="CSV or Parquet of path, label, split, ...")] = None,
    outside: Annotated[bool, typer.Option("--outside", help="Read what links or paths outside DIR lead to.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write one page, its pictures obscured.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write all pairs, keep.txt and remove.txt into a new folder.")
    ] = None,
    fix: Annotated[Path | None, typer.Option(help="Copy what stays into a new folder.")] = None,
    keep: Annotated[str, typer.Option(help="Whose copy stays: test, train or largest.")] = "test",
    null: Annotated[bool, typer.Option("--null", help="keep.txt, remove.txt: paths as bytes, each and a NUL.")] = False,
) -> None:
    """Ask of a dataset you already have: leaks, duplicates, conflicts, shortcuts. Exit 4 when a leak is found."""
    from curate.checks import clean, dataset
    from curate.checks import keep as rule
    from curate.checks.lists import in_json
    from curate.checks.page import write_page
    from curate.checks.run import check
    from curate.checks.terminal import lines
    from curate.config import Config

    rule.check(keep)
    if null and out is None:
        raise UsageError("--null: says how --out writes; name a folder by --out DIR")
    session = Session(Path(), ctx.quiet, ctx.verbose)
    asked = dataset.split_names(splits)
    source = folder or (list_.parent if list_ else Path())
    made = {name: clean.new_folder(f"--{name}", one, source) for name, one in (("out", out), ("fix", fix)) if one}
    if out and fix:
        clean.new_folder("--out", out, made["fix"])
        clean.new_folder("--fix", fix, made["out"])
    found = dataset.read(folder, list_, asked, outside)
    if fix and (astray := clean.outside(found)):
        raise UsageError(f"--fix: {len(astray)} lie outside {source}, such as {astray[0]}; leave out --outside")
    done = check(
        dataset.some(found, ctx.limit) if ctx.limit else found, session.engine(Config()), session.progress, keep
    )
    result: dict[str, Any] = done.facts | ({"pairs": in_json(done)} if ctx.json else {})
    if report is not None:
        result["report"] = str(write_page(report, folder or list_, done, session.progress))
    if out is not None:
        files = clean.write_out(made["out"], done, null)
        result["out"] = {"folder": str(out), "files": files, "left_out": done.listed.left_out}
    if fix is not None:
        result["fix"] = {"folder": str(fix), "files": clean.copy_clean(made["fix"], done, session.progress)}
    result["next_command"] = (
        _copied(done, fix, list_, asked) if fix else _next(done, folder, list_, asked, outside, out)
    )
    finish(ctx, result, lines, REFUSED if done.leak else 0, asked=True)


def _copied(done: "Checked", fix: Path, table: Path | None, splits: list[str]) -> str:
    """The command that checks a clean copy; it names the splits that are left."""
    from curate.checks.lists import FILES, stays

    kept = {done.rows[place].split for place in stays(done)}
    some = [f"--splits={','.join(one for one in splits if one in kept)}"] if kept & set(splits) else []
    return _command(fix, [*(["--list", str(fix / FILES)] if table else []), *some])


def _next(
    done: "Checked", folder: Path | None, table: Path | None, splits: list[str], outside: bool, out: Path | None
) -> str | None:
    """The command that writes what is not written yet; None where there is nothing to do."""
    from curate.checks.clean import outside as astray

    found = done.facts["clean"]
    todo = [] if out else ["--out", _free("leaks", done.dataset.root)]
    todo += [] if astray(done.dataset) else ["--fix", _free("clean", done.dataset.root)]
    if not found["remove"] or not todo:
        return None
    options = ["--list", str(table)] if table else []
    options += [f"--splits={','.join(splits)}"] if splits else []
    options += ["--outside"] if outside else []
    options += ["--keep", found["rule"]] if found["rule"] != "test" else []
    return _command(folder, [*options, *todo])


def _command(folder: Path | None, options: list[str]) -> str:
    named = [] if folder is None else [f"./{folder}" if str(folder).startswith("-") else str(folder)]
    return " ".join(["curate check", *map(_quoted, [*named, *options])])


def _free(name: str, source: str) -> str:
    """A new folder of this name: here, or beside the dataset where this is inside of it."""
    from curate.checks.clean import taken
    from curate.layouts.folder import inside

    path = Path(source).parent / name if inside("", source) else Path(name)
    return str(next(one for one in _numbered(path) if not taken(one)))


def _numbered(path: Path) -> Iterator[Path]:
    yield path
    yield from (path.with_name(f"{path.name}-{n}") for n in count(2))


def _quoted(text: str) -> str:
    """One word of a shell's command line; what cannot be printed stands in it as bash and zsh spell bytes."""
    if text.isprintable():
        return shlex.quote(text)
    return (
        "$'" + "".join(chr(b) if 31 < b < 127 and b not in b"\\'" else f"\\x{b:02x}" for b in os.fsencode(text)) + "'"
    )
