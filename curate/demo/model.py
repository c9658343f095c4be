"""What the demo shows of its model: other models on the same rows, thresholds, the worst slice, three pictures."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from curate.evaluate import thresholds
from curate.store.file_digests import digest
from curate.store.workspace import Workspace

PICTURES = 3
FOLDERS = ("neutral", "drawings")  # of the five that are really called so


def pictures(ws: Workspace, folder: Path) -> list[str]:
    """Three pictures of the second set, spread over its folders, that the model did not learn from."""
    learnt = {row[0] for row in ws.catalog.all("SELECT sample FROM members WHERE split = 'train'")}
    every = [path for name in FOLDERS for path in sorted((folder / name).iterdir())]
    found = [str(path) for path in every if digest(path) not in learnt]
    return [found[place * len(found) // PICTURES] for place in range(PICTURES)] if len(found) >= PICTURES else found


def tables(trained: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Who stands beside the baseline, and what `curate predict` answered."""
    beside = trained["side_by_side"]
    rows = [
        [row["name"], row["n"], row.get("right", "-"), _between(row.get("right_interval")), *_apart(row["difference"])]
        for row in beside["rows"]
    ]
    yield {
        "title": f"Side by side on {beside['of']} rows of test: {beside['heading']}",
        "columns": ["model", "n", "right", "95 % interval", "beside the baseline", "95 % interval, paired"],
        "rows": rows,
        "note": " ".join([_labels(beside), "A dash: it tells no class of this set apart.", *beside["foot"]]),
    }
    names = [Path(row["path"]).name for row in asked["rows"]]
    said = [[name, *_answer(row)] for name, row in zip(names, asked["rows"], strict=True)]
    why = "" if asked["thresholds"]["review"] is not None else " No threshold is promised, so nothing is called safe."
    yield {
        "title": "What the model says of three pictures",
        "columns": ["picture", "decision", "probabilities"],
        "rows": said,
        "note": f"`curate predict {trained['path']} {' '.join(row['path'] for row in asked['rows'])}`.{why}",
    }


def last(result: Mapping[str, Any]) -> Iterator[str]:
    """Thresholds, the worst slice, and where the plots lie."""
    trained = result["train"]
    for line in thresholds.lines(trained["thresholds"]):
        yield line[:1].upper() + line[1:]
    if worst := trained["worst"]:
        low, high = worst["right_interval"]
        said = f"{worst['heading']} {worst['right']} ({low} to {high}; n = {worst['n']})"
        yield f"Worst slice: {worst['kind']}, {worst['name']}: {said}"
    yield f"Plots of the model: section Baseline of {result['report']}; its card: {Path(trained['path']) / 'card.md'}"


def _labels(beside: Mapping[str, Any]) -> str:
    return f"Labels: {', '.join(f'{n} {who}' for who, n in beside['labels'].items())}."


def _between(ends: Sequence[float] | None) -> str:
    return "-" if ends is None else f"{ends[0]} to {ends[1]}"


def _apart(difference: Mapping[str, Any]) -> list[str]:
    if "right" not in difference:
        return ["-", "-"]
    low, high = difference["right_interval"] or (float("nan"), float("nan"))
    return [f"{difference['right']:+}", f"{low:+} to {high:+}"]


def _answer(row: Mapping[str, Any]) -> list[str]:
    if "reason" in row:
        return ["-", row["reason"]]
    return [row["decision"], ", ".join(f"{name} {p:.3f}" for name, p in row["probabilities"].items())]
