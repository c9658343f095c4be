"""What a project gives to others and takes from them: who was given a release, and a release of theirs fetched anew."""

from dataclasses import dataclass
from os import fspath
from pathlib import Path

from curate.admin import configured
from curate.admin.result import Result
from curate.admin.session import Session, interruptions
from curate.options import at_least


@interruptions
@dataclass(frozen=True)
class Sharing:
    """The methods of a `Project` about releases that change hands."""

    session: Session

    def share(self, version: str, to: str) -> Result:
        """Write down who was given a release, so that a takedown can name them. Sends nothing."""
        from curate.release.share import share

        with self.session.drive("share") as ws:
            return Result(share(ws, version, to))

    def hydrate(
        self, release: str | Path, removals: str | Path | None = None, reason: str | None = None,
        approved_by: str | None = None, limit: int | None = None, max_failures: int | None = None,
    ) -> Result:  # fmt: skip
        """Fetch somebody's release anew from its URLs, behind this project's own guard and gate.

        `release`: the folder of an exported `urls` or `parquet`, or its address. What its feed of removals names is
        taken out first, and does not come back; `removals` says where the feed is. `reason` and `approved_by` are
        needed where a class is not safe; `max_failures`: more rows than that make the answer incomplete.
        """
        from curate.admin.hydrating import Asked, hydrated

        at_least(1, limit=limit)
        feed = None if removals is None else Path(removals)
        with self.session.drive("hydrate", tells=True) as ws:
            configured.check(ws.config)
            asked = Asked(fspath(release), feed, reason, approved_by, limit, max_failures)
            return Result.waiting(ws, hydrated(self.session, ws, asked))
