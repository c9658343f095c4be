"""What people read of an answer where the names that `--json` has would be riddles."""

from collections.abc import Mapping
from typing import Any

from curate.fetch.reasons import settings

WORDS = {  # 25 characters at most
    "alone": "keeps back alone",
    "alpha": "Krippendorff's alpha",
    "audit": "right, as audited",
    "chained": "groups of several parts",
    "conflicts": "label conflicts",
    "contested": "samples in a conflict",
    "contradicted": "kept back as not safe",
    "double": "to be judged by two",
    "exact_only": "by exact copy only",
    "false_alarms": "safe, called not safe",
    "faults": "failed on",
    "gold": "gold (people's labels)",
    "gold_contradicted": "gold that contradicts",
    "gold_waiting": "gold once deduplicated",
    "held": "held back",
    "held_out_upright": "held out, upright only",
    "human": "by people",
    "left_in_source": "left in your own folder",
    "license_missing": "without a licence",
    "overruled": "called safe by people",
    "precedents": "settled (adjudicate)",
    "rebuilt": "corrupt, made again",
    "reviewed": "judged by people",
    "same_bytes": "repeat another's bytes",
    "stages": "seconds by measure",
    "thin_in_test": "few in test",
    "unacknowledged": "to be acknowledged",
    "undone": "taken back",
    "unhashed": "without a hash",
    "unscored": "without scores",
    "upstream": "changed at the source",
    "vanished": "declared, on no sample",
    "void": "outdated, made again",
    "withheld": "kept back by fetch",
}
ANEW = "catalog made anew"
REASONS = ("failed", "reasons", "refused")  # what counts failures by reason
NAMED = ("options", "counts")  # what holds names of a user's own: settings of curate.toml, classes
SENTENCES = ("bootstrap", "audit")  # what has a line of its own, `said`


def worded(value: Any) -> Any:
    """An answer, or a part of it, with its names in words; beside a failure's reason the setting that decides it."""
    if isinstance(value, Mapping):
        plain = _plain(_once(value))
        return {_word(key, one): one if key in NAMED else _read(key, one) for key, one in plain.items()}
    return [_row(one) for one in value] if isinstance(value, list) else value


def _read(key: str, value: Any) -> Any:
    return _beside(value) if key in REASONS else worded(value)


def _word(key: str, value: Any) -> str:
    """What a name is called; `rebuilt` is a catalog where it is more than names of what was."""
    return ANEW if key == "rebuilt" and isinstance(value, Mapping) else WORDS.get(key, key)


def _once(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where labelling functions are told of on every axis, those of the first one are not told of beside them, too."""
    return {key: one for key, one in value.items() if key != "functions" or "axes" not in value}


def _plain(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """What has a line of its own as that line, behind the rest, and nothing of it where there is none."""
    known = {key: value[key] for key in SENTENCES if key in value}
    told = {key: one["said"] if isinstance(one, Mapping) else one for key, one in known.items() if one}
    return {key: one for key, one in value.items() if key not in known} | told


def _row(one: Any) -> Any:
    """What is said in one line has no room for settings."""
    if not isinstance(one, Mapping):
        return one
    tabled = "remarks" in one or "by_chance" in one or "labelled" in one  # `curate.label.terminal` has its words
    return one if tabled else {WORDS.get(key, key): value for key, value in one.items()}


def _beside(counts: Any) -> Any:
    if not isinstance(counts, Mapping):
        return counts
    return {reason: f"{n}  ({keys})" if (keys := settings(reason)) else n for reason, n in counts.items()}
