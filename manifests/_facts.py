"""What the header and the rows of a release say of it, as sentences; what nobody recorded is said to be unknown."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from curate.records import SPLITS, Manifest
from manifests._files import column

UNKNOWN = "Unknown: not recorded."
LONGEST = 120  # characters of a name


def classes(release: Manifest) -> list[str]:
    """The classes of the first axis in their order; those that rows bear where the header does not say."""
    axes = release.header.get("taxonomy", {}).get("axes", ())
    borne = sorted({one for split in SPLITS for one in release.rows[split].column("label").unique().to_pylist()})
    return [*axes[0]["classes"], *(one for one in borne if one not in axes[0]["classes"])] if axes else borne


def unsafe(release: Manifest) -> list[str]:
    """The classes that rows bear, on any axis, and a taxonomy does not call safe: the release's own, or today's, where
    the header says that (`unsafe`). All classes, where there is none."""
    if (said := release.header.get("unsafe")) is not None:
        return list(said)
    axes = release.header.get("taxonomy", {}).get("axes", ()) or [{"safe": ()}]
    columns = ["label", *(f"label_{axis['name']}" for axis in axes[1:])]
    pairs = zip(columns, axes, strict=True)
    return sorted({name for column, axis in pairs for name in set(counted(release, column)) - set(axis["safe"])})


def counted(release: Manifest, name: str) -> Counter[Any]:
    """How many rows have each value of a column, of all splits; what is null is not counted."""
    found: Counter[Any] = Counter()
    for split in SPLITS:
        counts = column(release.rows[split], name).value_counts()
        found.update(dict(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True)))
    found.pop(None, None)
    return found


def size(release: Manifest) -> int:
    """How many rows it has."""
    return sum(len(release.rows[split]) for split in SPLITS)


def listed(counts: Mapping[Any, int]) -> str:
    """`a 3, b 2`, the most frequent first. Names are strangers' words: in one line, and printable."""
    most = sorted(counts.items(), key=lambda one: (-one[1], str(one[0])))
    return ", ".join(f"{_plain(str(name))} {n:,}" for name, n in most)


def _plain(name: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in name).split())[:LONGEST]


def screening(release: Manifest) -> str:
    """Which lists its items were compared with. That one is on no list says nothing about it, and is not said to."""
    said = release.header.get("screening")
    if said is None:
        return "Screening: unknown, nothing is on record."
    names = [f"{one['name']} ({one['provider']})" for one in (*said.get("lists", ()), *said.get("matchers", ()))]
    if not names:
        return "Screening: no list of known illegal material was loaded. What one would match is not known."
    missed = said.get("unscreened", 0) + said.get("unknown", 0)
    rest = f" Of {missed:,} rows it is not known that all of these were asked." if missed else ""
    return (
        f"Screening: items were compared with {len(names)} lists of known illegal material ({', '.join(names)}), and"
        f" what matched was kept out.{rest} A list knows what was reported to it: that an item is on none of them says"
        " nothing else about it."
    )


def licences(release: Manifest) -> str:
    """The licences of the rows, with how many rows have each and how many have none on record."""
    known = counted(release, "license")
    bare = size(release) - sum(known.values())
    said = f"Licences, as the sources state them, by rows: {listed(known)}." if known else "No licence is on record."
    return f"{said} {bare:,} rows have none on record." if known and bare else said


def labels(release: Manifest) -> str:
    """Who or what gave the labels, by rows."""
    words = {"human": "people", "weak": "a label model over labelling functions", "model": "a classifier"}
    given = {words.get(name, name): n for name, n in counted(release, "label_source").items()}
    return f"Labels by who or what gave them: {listed(given)}." if given else UNKNOWN


def per_item(release: Manifest) -> str:
    """How many people judged an item."""
    known = counted(release, "human_n")
    judged = {n: rows for n, rows in known.items() if n}
    if not judged:
        return "No item was judged by a person." if known else UNKNOWN
    each = ", ".join(f"{rows:,} by {n}" for n, rows in sorted(judged.items()))
    return f"Items that people judged themselves: {each}; {known[0]:,} by nobody."


def left_out(release: Manifest) -> str:
    """What the workspace held and the release does not, by reason."""
    reasons: Iterable[tuple[str, int]] = release.header.get("excluded", {}).items()
    return f"Left out, by reason: {listed(dict(reasons))}." if reasons else "Nothing on record was left out."


def apart(release: Manifest) -> str:
    """By what no two splits share anything."""
    said = release.header.get("leakage")
    if said is None:
        return UNKNOWN
    return (
        f"No near-duplicate group is in two splits, by {said.get('hash')} within {said.get('radius')} bits; checked"
        " again on what was written."
    )
