"""Inter-annotator agreement as tables of a page: reviewers under pseudonyms, nobody's pace."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from curate.report.html import Table, table

_CONSENSUS = {
    "settled": "settled by somebody else, with a reason",
    "unanimous": "unanimous",
    "majority": "more for one class than for any other",
    "tie": "as many for one as for another: no label",
    "unsure": "nobody could tell: no label",
}


def tables(found: Mapping[str, Any]) -> list[Table]:
    """The tables of `agreement.stats`; none where nobody has decided anything and nothing was drawn."""
    axes = [table for axis in found["axes"] if axis["decisions"] for table in _axis(axis, len(found["axes"]) > 1)]
    return [*axes, *_queues(found["queues"]), *_precedents(found["precedents"])]


def _axis(axis: Mapping[str, Any], several: bool) -> Iterator[Table]:
    name = f", {axis['axis']}" if several else ""
    double = axis["double"]
    yield table(
        f"How people's labels came about{name}",
        ["", "Samples", "Meaning"],
        [[key, axis["consensus"][key], means] for key, means in _CONSENSUS.items()],
        f"{axis['decisions']:,} decisions of {axis['reviewers']:,} people on {axis['samples']:,} samples;"
        f" {axis['unsure']:,} of them unsure; {double['n']:,} samples judged blind by two and more.",
    )
    if double["n"]:
        whole = ["All", double["n"], axis["alpha"], _interval(axis["alpha_interval"])]
        rows = [[one["class"], one["n"], one["alpha"], _interval(one["interval"])] for one in axis["classes"]]
        yield table(
            f"Krippendorff's alpha{name}", ["Class, against the rest", "Labels", "Alpha", "95 % interval"],
            [*rows, whole],
            "1: people agree; 0: as chance would. Of labels given blind; the last row counts samples.",
        )  # fmt: skip
        yield table(
            f"Cohen's kappa by pair{name}", ["Reviewers", "Samples", "The same", "Kappa", "95 % interval"],
            [_pair(one) for one in axis["pairs"]], "Pairs with most samples in common.",
        )  # fmt: skip
    if axis["gold"]:
        yield table(
            f"Against known answers, over time{name}", ["Reviewer", "From", "To", "Items", "Right", "95 % interval"],
            [row for one in axis["gold"] for row in _over_time(one)],
            "Gold items, mixed in and not told apart; the answers are other people's.",
        )  # fmt: skip

    yield from _yields(axis, name)


def _yields(axis: Mapping[str, Any], name: str) -> Iterator[Table]:
    """What each queue found for its decisions, and whether people repeat themselves."""
    if axis["queues"]:
        keys = ("queue", "decisions", "flips", "labelled", "errors_per_100")
        rows = [
            [
                *(one[key] for key in keys),
                _interval(one["interval"]),
                *(one[key] for key in ("missed", "new", "per_hour")),
            ]
            for one in axis["queues"]
        ]
        columns = ["Queue", "Decisions", "Labels changed", "Of labelled", "Errors per 100", "95 % interval",
                   "Called safe, found not safe", "Had no label", "Decisions an hour"]  # fmt: skip
        again = axis["repeats"]
        note = f"{again['n']:,} times somebody judged a sample again"
        if again["n"]:
            note += f"; {again['same']:.1%} said the same ({_interval(again['interval'])})"
        yield table(
            f"What decisions found{name}", columns, rows, f"{note}. Pace is told of two people and more together."
        )


def _pair(one: Mapping[str, Any]) -> list[Any]:
    return [" and ".join(one["reviewers"]), one["n"], one["same"], one["kappa"], _interval(one["kappa_interval"])]


def _over_time(one: Mapping[str, Any]) -> list[list[Any]]:
    keys = ("from", "to", "n", "right")
    return [[one["reviewer"], *(some[key] for key in keys), _interval(some["interval"])] for some in one["over_time"]]


def _interval(pair: Sequence[float] | None) -> str | None:
    return f"{pair[0]:.3f} to {pair[1]:.3f}" if pair else None


def _queues(queues: Sequence[Mapping[str, Any]]) -> Iterator[Table]:
    if queues:
        keys = ("queue", "axis", "items", "judged", "decisions")
        rows = [[one[key] for key in keys] for one in queues]
        yield table("Queues", ["Queue", "Axis", "Items", "Judged", "Decisions"], rows)


def _precedents(found: Sequence[Mapping[str, Any]]) -> Iterator[Table]:
    if found:
        keys = ("label", "axis", "reason", "guideline")
        rows = [[*(one[key] for key in keys), one["decided_at"][:10]] for one in found]
        yield table("Precedents", ["Label", "Axis", "Reason", "Guideline", "When"], rows)
