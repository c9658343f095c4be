"""Pages for people: one self-contained HTML file each, sealed by its own policy. Nothing is asked of a network."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from curate.errors import UsageError

Table = dict[str, Any]

MARK = b'<meta name="generator" content="curate">'  # templates/base.html begins with it

_PICTURE = re.compile(r"data:image/(?:jpeg|png);base64,[A-Za-z0-9+/]+=*")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://\S*")


def render(name: str, facts: Mapping[str, Any]) -> str:
    """The page `templates/<name>`: everything escaped, no script, and one style, which the policy names by its hash."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("curate.report", "templates")
    there = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        finalize=said,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    base = loader.get_source(there, "base.html")[0]
    style = base.partition("<style>")[2].partition("</style>")[0]
    sealed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return there.get_template(name).render(facts, style_hash=sealed)


def check_place(path: Path, option: str) -> None:
    """Raise UsageError where a page cannot be written, or would take the place of a file that is no page of curate."""
    if not path.parent.is_dir() or path.is_dir():
        raise UsageError(f"{option} {path}: no file can be written there")
    if path.exists() and MARK not in _head(path):
        raise UsageError(f"{option} {path}: a file is there already, and it is no page of curate; name another")


def _head(path: Path) -> bytes:
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(4096)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], note: str = "") -> Table:
    """A table as a page shows it; a column with a number in it is set flush right."""
    numeric = [any(_is_number(row[n]) for row in rows if n < len(row)) for n in range(len(columns))]
    return {"title": title, "columns": columns, "rows": rows, "note": note, "numeric": numeric}


def said(value: Any) -> Any:
    """A value as a page prints it: numbers with care, nothing that looks like a URL."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, str) and not hasattr(value, "__html__") and not _PICTURE.fullmatch(value):
        return _URL.sub("[url]", value)
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
