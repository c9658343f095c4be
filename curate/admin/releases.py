"""What a project does with releases: makes them, says what changed, notes who was given one."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import fspath
from pathlib import Path
from typing import TYPE_CHECKING

from curate.admin import stages
from curate.admin.result import Differences, Result
from curate.admin.session import Session, interruptions
from curate.options import texts

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
            return released(ws, str(facts["version"]), facts)

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
