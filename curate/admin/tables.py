"""What a project gives away: DataFrames, releases, thumbnails."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curate.admin import configured
from curate.admin.session import Session, interruptions

if TYPE_CHECKING:
    import pandas as pd

    from curate.release.access import HeldBack, Release
    from curate.report.gallery import Gallery


@interruptions
@dataclass(frozen=True)
class Tables:
    """The methods of a project that only read."""

    session: Session

    def samples(self, where: str | None = None, columns: str | Sequence[str] | None = None) -> "pd.DataFrame":
        """Stored samples, a row each, by id; docs/api.md has the columns.

        `where`: a condition in pandas' words ("label == 'porn' and width > 500"); what of it is about the catalog's
        columns is asked of the catalog, so that fewer rows are read. `columns`: only these.
        """
        from curate.report.samples import samples

        return self.session.read(lambda ws: samples(ws, where, columns))

    def failures(self) -> "pd.DataFrame":
        """Candidates that failed: url or path, host, reason, detail, attempts, retryable, fetched_at, source, ref."""
        from curate.report.frames import failures

        return self.session.read(failures)

    def duplicates(self) -> "pd.DataFrame":
        """Members of every near-duplicate group of two and more: group, id, survivor, collapse, split, excluded."""
        from curate.report.frames import duplicates

        return self.session.read(duplicates)

    def decisions(self) -> "pd.DataFrame":
        """People's decisions, a row each, as they were made; those that were taken back are not among them."""
        from curate.report.frames import decisions

        return self.session.read(decisions)

    def votes(self, axis: str | None = None) -> "pd.DataFrame":
        """What each labelling function voted: a row a sample (index: id), a column a function, classes as text."""
        from curate.report.frames import votes

        return self.session.read(lambda ws: votes(ws, axis))

    def functions(self, axis: str | None = None) -> "pd.DataFrame":
        """The report on labelling functions, a row each: coverage, overlap, conflict, accuracy with an interval,
        false alarms, faults, what is odd about it (`remarks`) and what to do (`help`)."""
        from curate.report.frames import functions

        return self.session.read(lambda ws: functions(ws, axis))

    def scores(self, labeler: str | None = None, columns: str | Sequence[str] | None = None) -> "pd.DataFrame":
        """What labelers say, a row a sample: `id`, and `<labeler>_<column>` for each column of one value, which
        docs/labels.md has. `columns`: only these; a vector (`efficientnet_lite0_embedding`) is there where it is named.
        """
        from curate.report.frames import scores

        return self.session.read(lambda ws: scores(ws, configured.labelers(ws.config), labeler, columns))

    def release(self, version: str) -> "Release":
        """A release of this project, with its pictures."""
        from curate.release.access import released

        return self.session.read(lambda ws: released(ws, version, self.session.reread))

    def show(self, ids: "str | Iterable[str] | pd.DataFrame", clear: bool = False) -> "Gallery":
        """Thumbnails for a notebook, obscured; `clear` only where everything is called safe (UsageError otherwise).

        `ids`: ids or their beginnings, one alone, or a DataFrame with a column `id`; an unknown one is a UsageError.
        """
        from curate.report.gallery import gallery

        return self.session.read(lambda ws: gallery(ws, ids, clear))


def held_back(session: Session) -> "HeldBack":
    """What a workspace holds back by now, for whoever has pictures of it."""
    from curate.release.access import HeldBack

    return session.read(lambda ws: HeldBack(ws, session.reread))
