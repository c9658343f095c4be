"""Pictures that say "this picture is gone": recognised by where a redirect ended, by their bytes, by their size."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from urllib.parse import urlsplit

from curate.records import Response


@dataclass(frozen=True, slots=True)
class _Rule:
    kind: str
    final_url: re.Pattern[str]
    md5: frozenset[str]
    etag: frozenset[str]
    redirected: bool
    host: re.Pattern[str] | None
    sizes: frozenset[tuple[int, int]]


def placeholder(response: Response, md5: str, size: tuple[int, int] | None = None) -> str | None:
    """The kind of placeholder that these bytes are, or None.

    `md5` is of the body, lower-case hex; `size` (width and height, px) counts only on the hosts that a rule names.
    """
    etag = response.headers.get("etag", "").removeprefix("W/").strip('"').lower()
    return next((rule.kind for rule in _rules() if _fits(rule, response, md5, etag, size)), None)


def known() -> Iterator[tuple[str, str]]:
    """The md5 of every file that is known to be a placeholder, and of which kind."""
    for rule in _rules():
        yield from ((md5, rule.kind) for md5 in sorted(rule.md5))


def _fits(rule: _Rule, response: Response, md5: str, etag: str, size: tuple[int, int] | None) -> bool:
    if md5 in rule.md5 or etag in rule.etag:
        return True
    if (response.hops or not rule.redirected) and rule.final_url.search(response.url.partition("?")[0]):
        return True
    return (
        size in rule.sizes and rule.host is not None and bool(rule.host.search(urlsplit(response.url).hostname or ""))
    )


@cache
def _rules() -> tuple[_Rule, ...]:
    table = tomllib.loads(files("curate.media").joinpath("placeholders.toml").read_text(encoding="utf-8"))
    return tuple(
        _Rule(
            kind=row["kind"],
            final_url=re.compile(row["final_url"], re.IGNORECASE),
            md5=frozenset(row["md5"]),
            etag=frozenset(row.get("etag", ())),
            redirected=row.get("redirected", False),
            host=re.compile(row["host"]) if "host" in row else None,
            sizes=frozenset((width, height) for width, height in row.get("sizes", ())),
        )
        for row in table["placeholder"]
    )
