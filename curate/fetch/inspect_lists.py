"""`curate sources inspect`: what lists of URLs hold, in numbers. Nothing is asked of the network, no URL is said."""

import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from curate.errors import ItemError
from curate.layouts.url_lists import LABEL, UrlList, find, rows
from curate.net.urls import MAX_URL, host_key
from curate.policy.refusals import denied_category, refused_path

if TYPE_CHECKING:
    import numpy as np

UNLABELLED = "unlabelled"
NO_CLASS = "not a class name"  # of a CSV's labels: what is no short word is counted and not repeated

_ORIGIN = re.compile(r"https?://[a-z0-9.\-]+", re.IGNORECASE)
_CLASS = re.compile(r"[\w.&+ \-]{1,100}")


def inspect(path: Path) -> dict[str, object]:
    """The figures of a list or a tree of lists; raises UsageError where there is none.

    `lines`: neither blank nor comments. `unique`: distinct URLs over the whole tree, as they are written.
    `duplicates_within`: lines that repeat an earlier one of their file. `conflicts`: URLs in more than one class.
    `malformed`: lines that no request can be made of. `denied`: lines of classes by the pattern that denies them.
    `hosts` and `classes`: lines of each. `refused`: the collection that this is a copy of, which is never fetched.
    `aggregates` and `leaves` are the same tree's two kinds of lists apart.
    """
    tally, lists = _Tally(), find(path)
    for one in lists:
        tally.read(one)
    refusal = refused_path(path)
    return tally.figures() | {
        "refused": None if refusal is None else refusal.id,
        "aggregates": tally.part([one for one in lists if not one.leaf]),
        "leaves": tally.part([one for one in lists if one.leaf]),
    }


@dataclass
class _Tally:
    """Counts, and of each file the distinct URLs as 64-bit digests: at 3 million lines about 200 MB in all.

    Digests are Python's keyed string hashes: that two of 3 million URLs share one has a probability below 1e-6.
    """

    lines: Counter[str] = field(default_factory=Counter)  # by file
    classes: Counter[str] = field(default_factory=Counter)
    hosts: Counter[str] = field(default_factory=Counter)
    malformed: int = 0
    unique: dict[str, "np.ndarray"] = field(default_factory=dict)  # by file
    labelled: dict[str, list["np.ndarray"]] = field(default_factory=lambda: defaultdict(list))  # by class

    def read(self, one: UrlList) -> None:
        """Count one file."""
        import numpy as np

        seen: defaultdict[str, array[int]] = defaultdict(lambda: array("q"))
        hosts: defaultdict[str | None, int] = defaultdict(int)
        usual = _class(one.label)
        if not one.is_csv:
            seen[usual] = array("q")
        for _, url, columns in rows(one):
            label = _class(columns[LABEL]) if LABEL in columns else usual
            seen[label].append(hash(url))
            hosts[_host(url)] += 1
        self.lines[one.name] = sum(map(len, seen.values()))
        self.malformed += hosts.pop(None, 0)
        self.hosts.update({str(host): count for host, count in hosts.items()})
        distinct = {label: np.unique(np.frombuffer(digests, dtype=np.int64)) for label, digests in seen.items()}
        for label, digests in distinct.items():
            self.classes[label] += len(seen[label])
            self.labelled[label].append(digests)
        parts = list(distinct.values())
        self.unique[one.name] = parts[0] if len(parts) == 1 else _distinct(parts)

    def figures(self) -> dict[str, object]:
        """The figures over the whole tree."""
        denied: Counter[str] = Counter()
        for label, count in self.classes.items():
            if (refusal := denied_category(label)) is not None:
                denied[refusal.id] += count
        whole = self.part_of(list(self.lines))
        return {
            **whole,
            "conflicts": self._conflicts(),
            "malformed": self.malformed,
            "denied": dict(sorted(denied.items())),
            "hosts": dict(sorted(self.hosts.items(), key=lambda pair: (-pair[1], pair[0]))),
            "classes": dict(sorted(self.classes.items())),
        }

    def part(self, lists: Sequence[UrlList]) -> dict[str, int]:
        """Files, lines, distinct URLs and repeated lines of some of the lists."""
        return self.part_of([one.name for one in lists])

    def part_of(self, names: Sequence[str]) -> dict[str, int]:
        lines = sum(self.lines[name] for name in names)
        return {
            "files": len(names),
            "lines": lines,
            "unique": len(_distinct(self.unique[name] for name in names)),
            "duplicates_within": lines - sum(len(self.unique[name]) for name in names),
        }

    def _conflicts(self) -> int:
        """How many URLs are in more than one class; no class is none."""
        import numpy as np

        each = [_distinct(parts) for label, parts in self.labelled.items() if label != UNLABELLED]
        _, counts = np.unique(np.concatenate([*each, np.empty(0, dtype=np.int64)]), return_counts=True)
        return int((counts > 1).sum())


def _distinct(parts: Iterable["np.ndarray"]) -> "np.ndarray":
    import numpy as np

    return np.unique(np.concatenate([*parts, np.empty(0, dtype=np.int64)]))


@lru_cache(maxsize=4096)
def _class(label: str | None) -> str:
    if label is None:
        return UNLABELLED
    return label if _CLASS.fullmatch(label) else NO_CLASS


def _host(url: str) -> str | None:
    """The host under which a URL is counted; None where `fetch` would refuse it. Most need no full parse."""
    end = url.find("/", 8)
    if end < 0 or len(url) > MAX_URL or not (url.isascii() and url.isprintable()) or " " in url or "\\" in url:
        return _parsed(url)
    host, usual = _of_origin(url[:end])
    return host if usual else _parsed(url)


@lru_cache(maxsize=65536)
def _of_origin(origin: str) -> tuple[str | None, bool]:
    """The host of a URL's beginning, and whether that is all that decides."""
    return (_parsed(origin), True) if _ORIGIN.fullmatch(origin) else (None, False)


def _parsed(url: str) -> str | None:
    try:
        return host_key(url)
    except ItemError:
        return None
