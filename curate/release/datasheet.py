"""`datasheet.md` of a release: the sections of Gebru et al. (2021), answered from what is on record and nothing else.

It is made of the release's own files, so that it can be made again once something was taken down.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from curate.errors import plain
from curate.records import SPLITS, Manifest
from curate.release.reader import PROVENANCE, unsafe
from curate.release.summary import Crossed, screened, summary

if TYPE_CHECKING:
    from pathlib import Path

NAME = "datasheet.md"
UNKNOWN = "Unknown: nothing on record says."
MOST = 20  # rows of a table; the others are one row
Answers = Sequence[tuple[str, str | None]]
_MARKUP = re.compile(r"([\\`*_\[\]<>|#])")


def datasheet(release: Manifest) -> str:
    """The datasheet of a release; same files, same bytes."""
    found = summary(release)
    sections: Mapping[str, Answers] = {
        "Motivation": _motivation(),
        "Composition": _composition(release, found),
        "Collection process": _collection(release, found),
        "Preprocessing and labelling": _labelling(release, found),
        "Uses": _uses(found),
        "Distribution": _distribution(release, found),
        "Maintenance": _maintenance(release),
    }
    head = [
        f"# Datasheet of release {release.version}",
        "Sections and questions follow Gebru et al., *Datasheets for Datasets* (2021). Every answer is from the"
        " release's own record; what that does not say is unknown, and for whoever releases it to add.",
    ]
    body = [part for name, answers in sections.items() for part in (f"## {name}", *map(_asked, answers))]
    return "\n\n".join([*head, *body]) + "\n"


def _asked(one: tuple[str, str | None]) -> str:
    question, answer = one
    return f"**{question}**\n\n{answer or UNKNOWN}"


# -- sections --------------------------------------------------------------------------------------------------------


def _motivation() -> Answers:
    return [(f"{who}?", None) for who in ("For what purpose was it made", "Who made it, for whom", "Who paid for it")]


def _composition(release: Manifest, found: Mapping[str, Any]) -> Answers:
    header, by = release.header, found["by"]
    axes = "; ".join(f"{_text(one['name'])}: {_names(one['classes'])}" for one in header["taxonomy"]["axes"])
    return [
        ("What are the instances?", "Pictures and what is known of each, one a row. They are not in the release: rows"
         " name them by the sha256 of their bytes, and by URL where they have one."),
        ("How many are there, of each class?", _table("class", by["label"])),
        ("Is it a sample of something larger?", "What the sources named and the workspace held, without what was left"
         f" out: {_left_out(header)}. How the"
         " sources were chosen is unknown."),
        ("Is there a label or target?", f"Yes, by taxonomy {_text(header['taxonomy']['version'])}: {axes}. Who gave it:"
         f"\n\n{_table('label source', by['label_source'])}"),
        ("What of borderline classes?", _borderline(found["borderline"])),
        ("Is information missing?", _missing(by["license"], header)),
        ("Are there recommended splits?", _splits(header)),
        ("Are there errors, noise or redundancies?", "Labels of machines (`weak`, `model`) are wrong now and then: how"
         " often, an audit says (`curate estimate`), and this does not. Of near-identical pictures one is kept."
         + _thin(found["thin"])),
        ("Does it contain what may be offensive or cause harm?", "Classes that the taxonomy does not call"
         f" safe: {_names(unsafe(release)) or 'none'}. What is in pictures that are called safe is as right as their"
         " labels."),
        ("Does it show people, and can they be identified?", None),
        ("What of children?", f"{header['excluded'].get('may_depict_minors', 0):,} items were left out since words"
         " beside them suggest minors and their label is not safe. Pictures themselves were not judged for it."),
        ("Was it screened for known illegal material?", " ".join(map(_text, screened(header)))),
    ]  # fmt: skip


def _collection(release: Manifest, found: Mapping[str, Any]) -> Answers:
    first, last = _days(release.path)
    when = None if first is None else f"Fetched from {first} to {last}." if first != last else f"Fetched on {first}."
    approvals = [f"{_text(one['use'])}: {_text(one['reason'])}, approved by {_text(one['approved_by'])}"
                 for one in release.header["approvals"]]  # fmt: skip
    return [
        ("How was it acquired?", f"By `curate fetch` ({_text(release.header['tool'])}) from:"
         f"\n\n{_table('source', found['by']['source'])}"),
        ("Over what time?", when),
        ("Who took part, and how were they paid?", None),
        ("Were there reviews of the collection?", "; ".join(approvals) + "." if approvals else None),
        ("Did the people in it, or those who made it, consent?", None),
    ]  # fmt: skip


def _labelling(release: Manifest, found: Mapping[str, Any]) -> Answers:
    header = release.header
    functions = {name for shares in header.get("functions", {}).values() for name in shares}
    ways = []
    if functions:
        ways.append(f"{len(functions)} labelling function{'s' * (len(functions) != 1)} ({_names(sorted(functions))})")
    if any(name == "human" for name, _ in found["by"]["label_source"]):
        ways.append("people")
    leak = ", ".join(f"{_text(key)} {_text(value)}" for key, value in header["leakage"].items())
    return [
        ("What was done to the data?", "Near-duplicates were grouped, and of each set of near-identical ones one was"
         f" kept ({leak}). Pictures themselves are as they were fetched. Settings: `config_sha256`"
         f" {header['config_sha256']}."),
        ("How was it labelled?", f"By {' and '.join(ways)}: the column `label_source` says which of a row,"
         " `votes` what people answered."),
        ("Who labelled, by what instructions?", None),
        ("Is the raw data kept?", "In the workspace that made the release, as far as nothing was taken down."),
    ]  # fmt: skip


def _uses(found: Mapping[str, Any]) -> Answers:
    return [
        ("Has it been used already?", None),
        ("What could it be used for?", "To train and test classifiers for content moderation with the classes above."),
        ("Is there something that it must not be used for?", None),
    ]


def _distribution(release: Manifest, found: Mapping[str, Any]) -> Answers:
    notices = [f"{_text(name)}: {_text(said)}" for name, said in release.header.get("notices", {}).items()]
    return [
        ("To whom is it given?", None),
        ("Under which licence?", "Each picture under its own, as its source states it:"
         f"\n\n{_table('licence', found['by']['license'])}"),
        ("Are there other terms?", "; ".join(notices) if notices else None),
    ]  # fmt: skip


def _maintenance(release: Manifest) -> Answers:
    header = release.header
    parent = header["parent"]
    after = f"It comes after {parent['version']} (sha256 {parent['sha256']})." if parent else "It is the first."
    redacted = len(header.get("redactions", ()))
    return [
        ("Who looks after it, and how can they be reached?", None),
        ("How is it updated?", f"{after} Versions follow Croissant's rule: MAJOR where rows were edited, removed or"
         " moved, MINOR where some were added, PATCH where all are the same."),
        ("How is something removed from it?", "By `curate takedown`, in this release, too: its row becomes a tombstone"
         f" and `removed.csv` names it. {len(header['removed']):,} items were taken out of earlier releases when this"
         f" was made, and {redacted:,} removals have changed this one since."),
        ("Are older versions kept?", None),
    ]  # fmt: skip


# -- parts -----------------------------------------------------------------------------------------------------------


def _table(name: str, rows: Crossed) -> str:
    """Rows by a value and split, the most frequent first."""
    ordered = sorted(rows, key=lambda one: (-sum(one[1].values()), one[0]))
    shown = [(_text(value), counts) for value, counts in ordered[:MOST]]
    if rest := ordered[MOST:]:
        others = {split: sum(counts.get(split, 0) for _, counts in rest) for split in SPLITS}
        shown.append((f"{len(rest):,} others", others))
    whole = {split: sum(counts.get(split, 0) for _, counts in rows) for split in SPLITS}
    head = [f"| {name} | {' | '.join(SPLITS)} | all |", "|---|" + "---:|" * (len(SPLITS) + 1)]
    lines = (
        f"| {value} | {' | '.join(f'{counts.get(split, 0):,}' for split in SPLITS)} | {sum(counts.values()):,} |"
        for value, counts in (*shown, ("all", whole))
    )
    return "\n".join([*head, *lines])


def _left_out(header: Mapping[str, Any]) -> str:
    return ", ".join(f"{n:,} {_text(reason)}" for reason, n in header["excluded"].items()) or "nothing"


def _borderline(found: Mapping[str, Any]) -> str | None:
    if not found["classes"]:
        return "No row is of a class that the taxonomy calls borderline."
    return f"{_names(found['classes'])}, labelled by:\n\n{_table('label source', found['by_label_source'])}"


def _missing(licenses: Crossed, header: Mapping[str, Any]) -> str:
    bare = sum(n for name, counts in licenses if name == "none" for n in counts.values())
    lost = f" Sources declare {_names(header['vanished'])}, and no row is of that." if header["vanished"] else ""
    return f"{bare:,} rows have no licence on record.{lost}"


def _splits(header: Mapping[str, Any]) -> str:
    shares = ", ".join(f"{split} {share:g}" for split, share in header["splits"]["shares"].items())
    return (
        f"Yes: {shares}. No near-duplicate group and no two pictures that look alike by the measures named below are in"
        " two of them; that was checked on the files as written."
    )


def _thin(found: Sequence[Mapping[str, Any]]) -> str:
    each = (f"{_text(one['class'])} {one['rows']:,} (± {one['half_width']:.2f})" for one in found)
    said = ", ".join(each)
    return (
        f" Few are in test, so that a share of them is known within a wide 95 % interval only: {said}." if said else ""
    )


def _names(names: Sequence[str]) -> str:
    return ", ".join(map(_text, names))


def _text(value: object) -> str:
    """What somebody wrote, as Markdown that shows just that, in one line."""
    return _MARKUP.sub(r"\\\1", plain(" ".join(str(value).split())))


def _days(folder: "Path") -> tuple[str | None, str | None]:
    """The days, UTC, of the first and the last fetch on record."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if not (path := folder / PROVENANCE).is_file():
        return None, None
    times = pc.min_max(pq.read_table(path, columns=["fetched_at"]).column("fetched_at")).as_py()
    first, last = (time and time[:10] for time in (times["min"], times["max"]))
    return first, last
