"""What `curate check` says on a terminal: a few lines with figures, the worst by path, and what to do next."""

from collections.abc import Iterator, Mapping
from typing import Any

CLASSES = 8  # labels of a split that are named on its line
EXAMPLES = 3  # pairs that are shown of each finding
LABEL = 15  # columns of the left margin


def lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """The answer, for people."""
    yield from _files(facts)
    yield from _splits(facts)
    yield from _leaks(facts)
    yield from _duplicates(facts)
    yield from _conflicts(facts)
    yield from _placeholders(facts)
    yield from _shortcuts(facts)
    yield from _licences(facts)
    yield from _clean(facts)
    yield from _next(facts)


def _n(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def _line(name: str, text: str) -> str:
    return f"{name:<{LABEL}}{text}".rstrip()


def _files(facts: Mapping[str, Any]) -> Iterator[str]:
    bad = facts["unreadable"]
    yield _line(
        "pictures",
        f"{facts['pictures']:,} readable ({facts['distinct']:,} different), {bad['files']:,} not, "
        f"in {facts['seconds']:.1f} s",
    )
    if bad["files"]:
        yield _line("unreadable", ", ".join(f"{reason} {n:,}" for reason, n in bad["reasons"].items()))
        for one in bad["examples"][:3]:
            yield _line("", f"{one['path']}: {one['reason']}{': ' + one['detail'] if one['detail'] else ''}")
    if facts["frames"]["files"]:
        yield _line("frames", several(facts["frames"]))
    for kind, n in facts["left_out"].items():
        yield _line("left alone", f"{n:,} {kind}, such as {facts['left_out_examples'][kind]}")


def several(found: Mapping[str, int]) -> str:
    """What is said of animations, and of files of many pages."""
    return (
        f"{found['frames']:,} in {_n(found['files'], 'file')} of several frames or pages, {found['most']:,} at most;"
        " those that differ are compared, too"
    )


def _splits(facts: Mapping[str, Any]) -> Iterator[str]:
    for split, labels in facts["splits"].items():
        some = list(labels.items())
        more = f" and {len(some) - CLASSES} more" if len(some) > CLASSES else ""
        counts = ", ".join(f"{label} {n:,}" for label, n in some[:CLASSES])
        yield _line("split", f"{split:<8} {sum(labels.values()):>7,}   {counts}{more}")
    for split, labels in facts["splits"].items():
        absent = [label for label, n in labels.items() if not n]
        if absent and split != "(none)":
            yield _line("balance", f"{split} has nothing of: {', '.join(absent[:CLASSES])}")


def _verdict(facts: Mapping[str, Any], name: str) -> Iterator[str]:
    """Why there is nothing to name: because there is none, because it was not asked, or because it has no answer."""
    one = facts["verdicts"][name]
    if one["verdict"] != "found":
        yield _line(name, f"{one['verdict']}: {one['said']}")


def _leaks(facts: Mapping[str, Any]) -> Iterator[str]:
    yield from _verdict(facts, "leak")
    for one in facts["leaks"]:
        yield _line(
            "LEAK",
            f"{one['pictures']:,} of {one['of']:,} readable in {one['split']} ({one['pictures'] / one['of']:.1%}) have"
            f" a near-duplicate in {one['in']}, in {_n(one['groups'], 'group')}",
        )
        shown = one["examples"][:EXAMPLES]
        for pair in shown:
            yield _line("", f"{pair['b']}  ~  {pair['a']}  ({pair['how']})")
        yield from _others(one["groups"] - len(shown))


def _others(n: int) -> Iterator[str]:
    """That there are more than are shown, and where."""
    if n > 0:
        yield _line("", f"and {_n(n, 'group')} more: --out DIR writes every pair")


def _duplicates(facts: Mapping[str, Any]) -> Iterator[str]:
    found = facts["duplicates"]
    yield from _verdict(facts, "duplicates")
    if not found["groups"]:
        return
    within = ", ".join(f"{split} {n:,}" for split, n in found["within"].items() if n)
    own = f"; with a near-duplicate in their own split: {within}" if within else ""
    yield _line(
        "duplicates",
        f"{_n(found['groups'], 'group')} of {found['pictures']:,} pictures, the largest of {found['largest']:,}; "
        f"{found['same_bytes']:,} repeat another's bytes{own}",
    )


def _conflicts(facts: Mapping[str, Any]) -> Iterator[str]:
    found = facts["conflicts"]
    yield from _verdict(facts, "conflicts")
    if not found["pictures"]:
        return
    yield _line(
        "conflicts",
        f"{_n(found['pictures'], 'picture')} in {_n(found['groups'], 'group')} look like one of another label; "
        f"{found['same_bytes']:,} of them are the same bytes under two labels",
    )
    shown = found["examples"][:EXAMPLES]
    for one in shown:
        a, b = one["labels"]
        yield _line("", f"{one['a']} [{a}]  ~  {one['b']} [{b}]  ({one['how']})")
    yield from _others(found["groups"] - len(shown))


def _placeholders(facts: Mapping[str, Any]) -> Iterator[str]:
    for one in facts["placeholders"]:
        yield _line("placeholders", f"{_n(one['pictures'], 'picture')}: {one['kind']}; such as {one['example']}")


def _shortcuts(facts: Mapping[str, Any]) -> Iterator[str]:
    asked = [one for one in facts["shortcuts"] if one["auc"] is not None]
    for one in asked:
        yield _line(
            "SHORTCUT" if one["found"] else "shortcut",
            f"{one['by']} alone {one['verdict']}: AUC {one['auc']:.2f} (labels shuffled: at most {one['chance']:.2f})",
        )
    if not asked:
        yield _line("shortcut", facts["shortcuts"][0]["verdict"])


def _licences(facts: Mapping[str, Any]) -> Iterator[str]:
    found = facts["licences"]
    if found is None:
        yield _line("licence", "no column says any")
    else:
        yield _line("licence", f"{found['missing']:,} of {found['of']:,} have none")


def _clean(facts: Mapping[str, Any]) -> Iterator[str]:
    """What stays by the rule, and what was written of it."""
    found = facts["clean"]
    if found["remove"]:
        names = {"near_duplicates": "near-duplicates", "conflicts": "conflicts of labels", "unreadable": "unreadable"}
        why = ", ".join(f"{names[reason]} {n:,}" for reason, n in found["reasons"].items() if n)
        yield _line("clean", f"{found['keep']:,} stay, {found['remove']:,} go (--keep {found['rule']}): {why}")
    if "out" in facts:
        counts = ", ".join(f"{name} {n:,}" for name, n in facts["out"]["files"].items())
        yield _line("written", f"{facts['out']['folder']}: {counts}")
        if facts["out"]["left_out"]:
            yield _line("", f"{_n(facts['out']['left_out'], 'pair')} of large groups left out; each row is in one")
    if "fix" in facts:
        yield _line("copied", f"{_n(facts['fix']['files'], 'file')} to {facts['fix']['folder']}")


def _next(facts: Mapping[str, Any]) -> Iterator[str]:
    """What to do, the worst first."""
    todo = []
    if facts["leak"]:
        todo.append(
            "keep each group of near-duplicates in one split, and measure again what was measured on the others"
        )
    if facts["conflicts"]["pictures"]:
        todo.append("have a person look at the conflicts")
    if facts["unreadable"]["files"]:
        todo.append("fetch again or drop what is unreadable")
    if facts["incomplete"]:
        todo.append("ask again when all can be read: what is said above is of the rest only")
    if any(one["found"] for one in facts["shortcuts"]):
        todo.append("balance the classes over what gives them away")
    for n, one in enumerate(todo or ["nothing that this command can see"]):
        yield _line("" if n else "next", one)
    if facts.get("next_command"):
        yield _line("", facts["next_command"])
