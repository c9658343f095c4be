"""Pictures that say "this picture is gone": recognised by where a redirect ended, or by their bytes."""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from curate.records import Response


@dataclass(frozen=True, slots=True)
class _Rule:
    kind: str
    final_url: re.Pattern[str]
    md5: frozenset[str]
    redirected: bool


def placeholder(response: Response, md5: str) -> str | None:
    """The kind of placeholder that these bytes are, or None; `md5` is of the body, lower-case hex."""
    for rule in _rules():
        if md5 in rule.md5:
            return rule.kind
        if (response.hops or not rule.redirected) and rule.final_url.search(response.url.partition("?")[0]):
            return rule.kind
    return None


@cache
def _rules() -> tuple[_Rule, ...]:
    table = tomllib.loads(files("curate.media").joinpath("placeholders.toml").read_text(encoding="utf-8"))
    return tuple(
        _Rule(row["kind"], re.compile(row["final_url"], re.I), frozenset(row["md5"]), row.get("redirected", False))
        for row in table["placeholder"]
    )
