"""The text that tells people how to judge, and its version, which goes with every decision."""

import hashlib
from dataclasses import dataclass

from curate.errors import UsageError
from curate.layouts.table import plain
from curate.records import Taxonomy
from curate.store import holds
from curate.store.catalog import Catalog, Row


@dataclass(frozen=True, slots=True)
class Guideline:
    """The text (Markdown; empty where none is configured), and a digest of it, None where there is none."""

    text: str = ""
    version: str | None = None


def guideline(taxonomy: Taxonomy) -> Guideline:
    """The guideline that the taxonomy names; raises UsageError where it cannot be read."""
    if taxonomy.guideline is None:
        return Guideline()
    plain(taxonomy.guideline)
    try:
        data = taxonomy.guideline.read_bytes()
        return Guideline(data.decode("utf-8"), hashlib.sha256(data).hexdigest()[:12])
    except OSError as error:
        raise UsageError(f"taxonomy.guideline: {taxonomy.guideline}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"taxonomy.guideline: {taxonomy.guideline}: not a text in UTF-8") from error


@dataclass(frozen=True, slots=True)
class Precedent:
    """What was settled, why, and under which version of the guideline; it names no sample, so nobody recognises one."""

    axis: str
    label: str
    reason: str
    guideline: str | None
    decided_at: str


def precedents(catalog: Catalog, taxonomy: Taxonomy) -> list[Precedent]:
    """The reasons in force, oldest first: of each sample the last one, except of samples that are held back."""
    sql = "SELECT * FROM precedents WHERE taxonomy = ? ORDER BY precedent"
    held = holds.held(catalog)
    last: dict[tuple[str, str], Row] = {}
    for row in catalog.all(sql, (taxonomy.version,)):
        if row["sample"] not in held:
            last.pop((row["sample"], row["axis"]), None)
            last[row["sample"], row["axis"]] = row
    names = ("axis", "label", "reason", "guideline", "decided_at")
    return [Precedent(*(row[name] for name in names)) for row in last.values()]


def read_by_people(catalog: Catalog, taxonomy: Taxonomy) -> Guideline:
    """The guideline as reviewers read it: its text with the precedents below it, and the version of the text."""
    given, found = guideline(taxonomy), precedents(catalog, taxonomy)
    lines = [f"- {one.label} ({one.axis}, {one.decided_at[:10]}): {one.reason}" for one in found]
    quoted = "\n\n## Precedents\n\n" + "\n".join(lines) + "\n" if lines else ""
    return Guideline((given.text.rstrip() + quoted).lstrip() if quoted else given.text, given.version)
