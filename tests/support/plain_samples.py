"""What `project.samples()` is, written plainly: SQL joins, a dictionary a sample. Columns must say the same."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from curate.label import flags, table
from curate.records import Axis
from curate.store import eligibility, samples, views
from curate.store.workspace import Workspace

ROWS = """
SELECT s.id, s.media_type, s.bytes, s.width, s.height, s.frames, s.parent, s.at_ms, m.split, m.grp AS "group",
    m.survivor, c.locator AS url, n.license, n.attribution, o.plugin AS source, n.ref
FROM samples s LEFT JOIN members m ON m.sample = s.id
LEFT JOIN (SELECT sample, min(candidate) AS candidate FROM candidates WHERE sample IS NOT NULL GROUP BY sample) f
    ON f.sample = s.id
LEFT JOIN candidates c ON c.candidate = f.candidate
LEFT JOIN mentions n ON n.candidate = f.candidate AND (n.source, n.ref) = (
    SELECT source, ref FROM mentions WHERE candidate = f.candidate ORDER BY source, ref LIMIT 1)
LEFT JOIN sources o ON o.source = n.source
{} ORDER BY s.id
"""


def rows(ws: Workspace, where: str = "") -> list[dict[str, Any]]:
    """All columns of each sample that is not held back; `where` in SQL."""
    known, withheld = labels(ws, ws.config.taxonomy.first)
    held, found = eligibility.inactive(ws.catalog), []
    for row in ws.catalog.all(ROWS.format(where)):
        name = row["id"]
        label, probability, source, human_n = known.get(name, (None, None, None, 0))
        said = {"label": label, "probability": probability, "label_source": source, "human_n": human_n}
        path = str(ws.blobs.path(name))
        if name not in held:
            found.append({**dict(row), **said, "withheld": withheld.get(name), "path": path})
    return found


def labels(ws: Workspace, axis: Axis) -> tuple[dict[str, tuple[str, float, str, int]], dict[str, str]]:
    """Label, probability, who says so, how many people judged it, by sample; and why what is withheld is."""
    found: dict[str, tuple[str, float, str, int]] = {}
    if (weak := table.read(ws, axis)) is not None:
        decided = [False] * len(weak.ids) if weak.taught is None else weak.taught.decided.tolist()
        for name, label, p, own in zip(weak.ids, weak.labels, weak.probability(), decided, strict=True):
            if label in axis.classes:
                found[name] = (str(label), round(float(p or 0), 4), "model" if own else "weak", 0)
    members = dict(ws.catalog.iterate_tuples("SELECT sample, collapse FROM members"))
    humans = people(ws, axis, members)
    found |= {name: (label, 1.0, "human", n) for name, (label, n) in humans.items()}
    withheld = {name: "conflict" for name in samples.disputed(ws.catalog, axis.name) if name not in humans}
    for name in accused(ws, axis, weak, members):
        label, _, _, seen = found.get(name, (None, 0, "", 0))
        if label is None or (label in axis.safe and not seen):
            withheld[name] = "contradicted"
            found.pop(name, None)
    for name in contested(ws, axis, members):
        withheld[name] = "conflict"
        found.pop(name, None)
    return found, withheld


def people(ws: Workspace, axis: Axis, members: Mapping[str, str]) -> dict[str, tuple[str, int]]:
    """The class that people gave, and how many judged this very sample: 0 where it is carried over from its set."""
    own: dict[str, views.Human] = {}
    given = views.votes(ws.catalog, axis.name, ws.config.taxonomy.version)
    for name, counts in given.items():
        if (winner := views.consensus(counts, axis.classes)) is not None:
            own[name] = winner
    for name, label in views.precedents(ws.catalog, axis.name, ws.config.taxonomy.version).items():
        if label in axis.classes:
            n = 1 + sum(given.get(name, Counter()).get(one, 0) for one in axis.classes)
            own[name] = views.Human(label, n, 1.0)
    said = {name: (one.label, one.n) for name, one in own.items()}
    for name, collapse in members.items():
        judged = {own[other].label for other in members if members[other] == collapse and other in own}
        if name not in own and len(judged) == 1:
            said[name] = (judged.pop(), 0)
    return said


def accused(ws: Workspace, axis: Axis, weak: table.Weak | None, members: Mapping[str, str]) -> set[str]:
    """All that is declared or flagged not safe, or in a collapse set with what is."""
    stored = {row[0] for row in ws.catalog.all("SELECT id FROM samples")}
    bad = {name for name, said in samples.declared(ws.catalog, axis.name).items() if not set(said) <= set(axis.safe)}
    for row, name in enumerate(weak.ids if weak else ()):
        assert weak is not None
        for column, vote in enumerate(weak.votes[row].tolist()):
            if (weak.spared is not None and weak.spared[row, column]) or vote == flags.ABSTAIN:
                continue
            if vote == flags.FAILED or not set(weak.sets[vote]) & set(axis.safe):
                bad.add(name)
    sets = {members.get(name, name) for name in bad & stored}
    return {name for name in stored if members.get(name, name) in sets}


def contested(ws: Workspace, axis: Axis, members: Mapping[str, str]) -> set[str]:
    """All members of a collapse set to which people gave more than one answer, or a tie."""
    taxonomy, answers = ws.config.taxonomy.version, defaultdict[str, set[str | None]](set)
    settled = views.precedents(ws.catalog, axis.name, taxonomy)
    for name, label in settled.items():
        answers[members.get(name, name)].add(label)
    for name, counts in views.votes(ws.catalog, axis.name, taxonomy).items():
        if name not in settled and any(counts[label] for label in axis.classes):
            winner = views.consensus(counts, axis.classes)
            answers[members.get(name, name)].add(winner.label if winner else None)
    return {name for name, collapse in members.items() if len(answers[collapse]) > 1 or None in answers[collapse]}
