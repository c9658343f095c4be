"""Which candidates a fetch asks for: those that a source names which it was told to ask, and that nobody calls not safe
where nothing screens."""

from collections.abc import Collection
from dataclasses import dataclass

from curate.fingerprint import canonical

# Of a candidate `c`. ?1: sources, as JSON; ?2: the axis; ?3: its safe classes, as JSON, NULL where lists are loaded.
WANTED = """
EXISTS (SELECT 1 FROM mentions m WHERE m.candidate = c.candidate AND m.source IN (SELECT value FROM json_each(?1)))
AND (?3 IS NULL OR NOT EXISTS (
    SELECT 1 FROM mentions m LEFT JOIN declared d
        ON d.candidate = m.candidate AND d.source = m.source AND d.ref = m.ref AND d.axis = ?2
    WHERE m.candidate = c.candidate AND m.source NOT IN (SELECT value FROM json_each(?1))
        AND (d.label IS NULL OR d.label NOT IN (SELECT value FROM json_each(?3)))))
"""


@dataclass(frozen=True)
class Wanted:
    """The values that WANTED asks for. `safe`: the classes that may be fetched where nothing screens; None: all may.

    What a source says that curate.toml names no more was admitted by other rules, or by none (a plan lists what no gate
    has seen), so that it does not count as one that names a candidate, and does as one that calls it not safe.
    """

    sources: Collection[str]
    axis: str
    safe: Collection[str] | None

    @property
    def values(self) -> tuple[str, str, str | None]:
        """In order."""
        return canonical(sorted(self.sources)), self.axis, None if self.safe is None else canonical(sorted(self.safe))
