"""`card.md`: what a model is, what it is worth, what it is for, and what it must not be used for."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from curate.stats.metrics import against

_FIGURES = {
    "accuracy": "accuracy", "agreement": "agreement", "roc_auc": "ROC-AUC, macro",
    "average_precision": "average precision, macro", "not_safe_recall": "not safe: recall at 0.5",
    "not_safe_false_positive_rate": "not safe: false alarms at 0.5", "not_safe_roc_auc": "not safe: ROC-AUC",
    "not_safe_average_precision": "not safe: average precision",
}  # fmt: skip
_NOT_FOR = """\
- **It advises; it does not act.** Nothing may be deleted, hidden, refused or reported because of its answer alone: a
  person looks first. *block* means held back until somebody has looked. Nothing here deletes anything by its word.
- Not as a filter of what readers see. Wikimedia Commons, whose researchers this was made for, discussed that, was
  against it, and open to advice only.
- Not for finding illegal media, or the age of anybody: it knows nothing of either. Lists of known media do that.
- Not for judging people, their accounts or their origin.
- Not on other material than it was measured on without measuring there: published classifiers of this kind fall from
  98 % to 30-90 % on other people's sets.
"""
_PREVALENCE = """\
Figures on a balanced test set say little of a stream where little is not safe. A volunteer tool of this kind, in use
for three years on a wiki, had a precision of about one half at natural prevalence: every second flag was wrong. With p
the share of what is not safe, r the recall and f the false alarms, people have to look at p r + (1 - p) f of the
stream, and p r / (p r + (1 - p) f) of that is what they look for.
"""
_LIMITS = """\
- It sees one still at 224 px or so: nothing of context, consent, law, text or sound.
- Its labels are those of the release; where a machine gave them, figures say how far it agrees with that machine.
- Drawings, medicine, art and skin-coloured things are where classifiers of this kind are wrong most.

`preprocessing.json` says how a picture becomes its input, `thresholds.json`, where there is one, what it is called.
"""


def card(said: Mapping[str, Any], result: Mapping[str, Any], header: Mapping[str, Any]) -> str:
    """The text of a card. `said` is `model.json`'s facts, `result` metrics.json's, `header` the release's.

    No clock, no machine, no sample: the same model, the same bytes.
    """
    return "\n".join(_lines(said, result, header)) + "\n"


def _lines(said: Mapping[str, Any], result: Mapping[str, Any], header: Mapping[str, Any]) -> Iterator[str]:
    test, release = result["test"], said["release"]
    yield f"# Model {said['model']}"
    yield ""
    tuning = result.get("finetuned")
    how = f"last {tuning['blocks']} blocks fine-tuned on the release" if tuning else "frozen"
    yield f"A linear head on the features of `{said['backbone']}` ({how}), by {said['tool']}."
    yield ""
    yield f"- **Release**: {release['version']}, sha256 `{release['sha256']}`"
    yield f"- **Axis**: {said['axis']}; classes {', '.join(said['classes'])}"
    yield f"- **Safe**: {', '.join(said['safe']) or 'none'}; borderline: {', '.join(said['borderline']) or 'none'}"
    yield f"- **Rows**: {', '.join(f'{n} {split}' for split, n in result['rows'].items())}"
    yield f"- **Labels of the test split**: {_counted(test.get('labels', {}))}"
    yield f"- **Screening of the release**: {_screening(header.get('screening', {}))}"
    for name, text in sorted(header.get("notices", {}).items()):
        yield f"- **Notice of `{name}`**: {text}"
    yield ""
    yield "## What it is worth"
    yield ""
    yield f"On the release's test split, {test['groups']} groups: {against(test)}."
    yield ""
    yield "| figure | value | 95 % interval |"
    yield "|---|---|---|"
    for key, name in _FIGURES.items():
        if test.get(key) is not None:
            between = test.get(f"{key}_interval")
            shown = "-" if between is None else f"{between[0]:.4f} to {between[1]:.4f}"
            yield f"| {test['heading'] if key in ('accuracy', 'agreement') else name} | {test[key]:.4f} | {shown} |"
    yield ""
    yield from _by_slice(result)
    yield "## At natural prevalence"
    yield ""
    yield _PREVALENCE
    yield from _load(test)
    yield "## What it is for"
    yield ""
    yield "Ordering what people review, and telling them where to look first; a baseline for other models to beat."
    yield ""
    yield "## What it must not be used for"
    yield ""
    yield _NOT_FOR
    yield "## Limits"
    yield ""
    yield _LIMITS.rstrip()


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {who}" for who, n in counts.items()) or "of whom nothing is on record"


def _screening(said: Mapping[str, Any]) -> str:
    lists = said.get("lists", [])
    asked = f"{len(lists)} list{'s' if len(lists) != 1 else ''} asked"
    return f"{'required' if said.get('required') else 'not required, as every class is safe'}; {asked}"


def _by_slice(result: Mapping[str, Any]) -> Iterator[str]:
    """A row a slice that is large enough to have a figure, the worst first."""
    rows = [one for one in result.get("slices", []) if one.get("right") is not None]
    if not rows:
        return
    yield f"By slice ({result['least']} rows and more):"
    yield ""
    yield "| slice | n | value | 95 % interval | what it is |"
    yield "|---|---|---|---|---|"
    for one in sorted(rows, key=lambda row: (row["right"], row["kind"], row["name"])):
        low, high = one["right_interval"]
        said = f"{one['right']:.4f} | {low:.4f} to {high:.4f} | {one['heading']}"
        yield f"| {one['kind']}: {one['name']} | {one['n']} | {said} |"
    yield ""


def _load(test: Mapping[str, Any]) -> Iterator[str]:
    """What people have to look at of a stream, where both sides were measured."""
    recall, alarms = test.get("not_safe_recall"), test.get("not_safe_false_positive_rate")
    if recall is None or alarms is None:
        yield "Of this model that is not known: the test split does not hold both what is safe and what is not."
        yield ""
        return
    (least, most), (few, many) = (
        test.get(f"{name}_interval") or (0.0, 1.0) for name in ("not_safe_recall", "not_safe_false_positive_rate")
    )
    yield "As found on test, and in brackets where that lies if recall and false alarms lie in their 95 % intervals:"
    yield ""
    yield "| not safe in the stream | people look at | of that, not safe |"
    yield "|---|---|---|"
    for p in (0.001, 0.01, 0.05):
        looks = [f"{p * r + (1 - p) * f:.2%}" for r, f in ((recall, alarms), (least, few), (most, many))]
        right = [_right(p, r, f) for r, f in ((recall, alarms), (least, many), (most, few))]
        yield f"| {p:.1%} | {_between(looks)} | {_between(right)} |"
    yield ""


def _right(p: float, recall: float, alarms: float) -> str:
    flagged = p * recall + (1 - p) * alarms
    return f"{p * recall / flagged:.1%}" if flagged else "-"


def _between(said: Sequence[str]) -> str:
    return f"{said[0]} ({said[1]} to {said[2]})"
