"""What a project does with releases: makes them, says what changed, notes who was given one, fetches others' anew."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import fspath
from pathlib import Path
from typing import TYPE_CHECKING

from curate.admin import configured, stages
from curate.admin.result import Differences, Result
from curate.admin.session import Session, interruptions
from curate.options import at_least, texts

if TYPE_CHECKING:
    from curate.release.access import Release


@interruptions
@dataclass(frozen=True)
class Releases:
    """The methods of a project that make releases, or are about them."""

    session: Session

    def export(
        self, version: str | None = None, formats: str | Sequence[str] = (), acknowledge: str | None = None
    ) -> "Release":
        """Freeze a release behind the gates; raises GateError where one refuses.

        Without `version` it gets the next by Croissant's rule; one that is too small for what changed is a UsageError.
        `formats`: those that it is written in, in place of those of curate.toml; a release that exists is written in
        those of them that it lacks. `acknowledge`: who answers for it, and why, that pictures of classes leave that
        are not safe; the export keeps it.
        """
        from curate.release.access import released

        with self.session.drive("export") as ws:
            ws.said = facts = stages.exported(self.session, ws, version, texts(formats), acknowledge)
            return released(ws, str(facts["version"]), self.session.reread, facts)

    def plan_export(
        self, version: str | None = None, formats: str | Sequence[str] = (), acknowledge: str | None = None
    ) -> Result:
        """What `export` would make, given the same: version, rows, what is left out, what each gate says.

        Writes nothing. A version that exists is a UsageError, also where formats are named.
        """
        self.session.obey()
        return Result(self.session.read(lambda ws: stages.planned(ws, version, texts(formats), acknowledge)))

    def diff(self, before: str | Path, after: str | Path) -> Differences:
        """What changed between two releases, each a version of this project or a release's folder.

        `frame(name)` has one of its lists as a DataFrame: added, removed, relabelled, moved, edited, counts,
        prevalence, functions, scores.
        """
        from curate.release.diff import diff

        return Differences(self.session.read(lambda ws: diff(ws, fspath(before), fspath(after))))

    def share(self, version: str, to: str) -> Result:
        """Write down who was given a release, so that a takedown can name them. Sends nothing."""
        from curate.release.share import share

        with self.session.drive("share") as ws:
            return Result(share(ws, version, to))

    def hydrate(
        self, release: str | Path, removals: str | Path | None = None, reason: str | None = None,
        approved_by: str | None = None, limit: int | None = None, max_failures: int | None = None,
        key: str | Path | None = None,
    ) -> Result:  # fmt: skip
        """Fetch somebody's release anew from its URLs, behind this project's own guard and gate.

        `release`: the folder of an exported `urls` or `parquet`, or its address. What its feed of removals names is
        taken out first, and does not come back; `removals` says where the feed is, and `key` (text, or a file) by which
        public key of minisign's both are signed: None, the key of the first time. `reason` and `approved_by` are
        needed where a class is not safe; `max_failures`: more rows than that make the answer incomplete.
        """
        from curate.admin.hydrating import Asked, hydrated

        at_least(1, limit=limit)
        at_least(0, max_failures=max_failures)
        feed, key = (None if one is None else fspath(one) for one in (removals, key))
        with self.session.drive("hydrate", tells=True) as ws:
            configured.check(ws.config)
            asked = Asked(fspath(release), feed, reason, approved_by, limit, max_failures, key)
            return Result.waiting(ws, hydrated(self.session, ws, asked))
