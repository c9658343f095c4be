"""What `curate check` may say: found, none, not asked, or unknown where too little could be looked at to say none."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from curate.checks.dataset import Dataset
from curate.stats.coverage import Coverage

Verdict = dict[str, str]  # verdict: found, none, not asked, unknown; said: the same in words


def coverage(found: Dataset, unread: frozenset[str]) -> dict[str, Any]:
    """How many of the files were looked at; `unread` are the paths of the others.

    Incomplete where more than 5 % were not, where nothing of a split was, and where nobody knows what a folder holds.
    """
    files = {row.path for row in found.rows}
    covered = Coverage(len(files) - len(unread), len(files), "files")
    return covered.facts("; ".join(_lacking(found, unread, covered)) or None)


def _lacking(found: Dataset, unread: frozenset[str], covered: Coverage) -> Iterator[str]:
    if covered.short:
        yield covered.short
    for split in found.splits if covered.looked else ():
        if all(row.path in unread for row in found.rows if row.split == split):
            yield f"not one file of {split} could be read"
    if found.unlisted:
        yield f"folders that could not be read, whatever is in them: {found.unlisted:,}"


def verdicts(facts: Mapping[str, Any], labels: Sequence[str], listed: bool) -> dict[str, Verdict]:
    """The verdict on leaks, duplicates and conflicts; `listed`: the dataset came from a list."""
    return {
        "leak": _leak(facts),
        "duplicates": _said(facts, facts["duplicates"]["groups"], "no picture looks like another one"),
        "conflicts": _conflicts(facts, labels, listed),
    }


def _leak(facts: Mapping[str, Any]) -> Verdict:
    splits = [split for split in facts["splits"] if split != "(none)"]
    if len(splits) < 2:
        why = f"all is in {splits[0]}" if splits else "no splits are named (--splits, or a column `split`)"
        return _verdict("not asked", why)
    said = f"no picture has a near-duplicate in another split ({', '.join(splits)})"
    return _said(facts, facts["leak"], said + _others(sum(facts["splits"].get("(none)", {}).values()), "split"))


def _conflicts(facts: Mapping[str, Any], labels: Sequence[str], listed: bool) -> Verdict:
    if not labels:
        return _verdict("not asked", "the list says no labels" if listed else "no folder is named after one")
    if len(labels) == 1:
        return _verdict("not asked", f"everything has one label ({labels[0]})")
    bare = sum(counts.get("(none)", 0) for counts in facts["splits"].values())
    return _said(facts, facts["conflicts"]["pictures"], "what looks alike has one label" + _others(bare, "label"))


def _others(n: int, what: str) -> str:
    return f"; {n:,} without a {what} were not asked" if n else ""


def _said(facts: Mapping[str, Any], found: object, none: str) -> Verdict:
    """Whether there is any. That there is none is said of what was looked at, and not where that is too little."""
    if found:
        return _verdict("found", "")
    if facts["incomplete"]:
        return _verdict("unknown", facts["incomplete"])
    among = facts["coverage"]
    read = f", of the {among['looked_at']:,} files that could be read" if among["looked_at"] < among["of"] else ""
    bare = {"with too little in them": facts["flat"], "too small to compare": facts["too_small"]}
    alone = " and ".join(f"{n:,} {what}" for what, n in bare.items() if n)
    return _verdict("none", none + read + (f"; {alone} are compared by their bytes alone" if alone else ""))


def _verdict(verdict: str, said: str) -> Verdict:
    return {"verdict": verdict, "said": said}
