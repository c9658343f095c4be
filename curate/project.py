"""A project from Python: `curate.open(folder)`. The commands call the same methods, and print what they return."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate import configured
from curate.admin.session import NO_CONTACT, Session, refuse
from curate.config import CONFIG_NAME
from curate.errors import CurateError, MatchError, UsageError
from curate.stats.coverage import incomplete, over
from curate.store import catalog, holds, lookup, lost
from curate.store.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

    from curate.contracts import Source
    from curate.release.access import Release

SHOWN = 20  # corrupt and doubtful rows of lists that are named


@dataclass(frozen=True, repr=False)
class Result(Mapping[str, Any]):
    """What a verb found, by name; `open_incidents` are those that nobody has acknowledged (docs/screening.md)."""

    facts: Mapping[str, Any]
    open_incidents: tuple[int, ...] = ()

    def __getitem__(self, name: str) -> Any:
        return self.facts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.facts)

    def __len__(self) -> int:
        return len(self.facts)

    def __repr__(self) -> str:
        return "\n".join(f"{name:<26} {value}" for name, value in self.facts.items())

    def _repr_html_(self) -> str:
        rows = (f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in self.facts.items())
        return f"<table>{''.join(rows)}</table>"


@dataclass(frozen=True)
class Project:
    """A folder with curate.toml and the workspace beside it.

    It holds nothing open: each method opens the workspace, and those that write hold its lock and record their run, as
    the command of that name does. Raises the errors of `curate.errors`: UsageError for what is asked wrongly, BusyError
    where another process drives, GateError and MatchError where screening or a gate of a release says no.
    """

    session: Session

    def __repr__(self) -> str:
        return f"curate.open({str(self.session.root)!r})"

    # -- the pipeline --------------------------------------------------------------------------------------------------

    def fetch(
        self, limit: int | None = None, sample: int | None = None, relist: bool = False,
        retry: Sequence[str] | None = None, force: bool = False,
    ) -> Result:  # fmt: skip
        """Run every source; what is stored is not asked for again.

        `limit`: candidates of this run at most; `sample`: about so many, drawn by class and host; `relist`: list every
        source anew; `retry`: reasons of failures to ask again for ([]: all that may pass; `force`: also answers).
        """
        from curate.fetch.listing import relist as begin_again
        from curate.fetch.reopen import retry as reopen

        with self.session.drive("fetch", tells=True) as ws:
            configured.check(ws.config)
            if relist:
                begin_again(ws.catalog)
            if retry is not None:
                self._note(f"{reopen(ws.catalog, list(retry), force)} failed candidates are asked for again")
            return self._waiting(ws, self.fetched(ws, limit, sample))

    def plan(self) -> Result:
        """How much the sources hold and what it will cost; nothing is fetched. `refusal` is why `fetch` would say no."""
        from curate.fetch.plan import plan

        with self.session.drive("fetch", tells=True) as ws:
            configured.check(ws.config)
            sources = configured.sources(ws.config)
            found = plan(ws, sources, self.session.client(ws.config), self.session.progress)
            why = self._refusal(ws, sources)
            why = why or (NO_CONTACT if found["hosts"] and ws.config.fetch.contact is None else None)
            if why:
                self._note(f"`curate fetch` would refuse this: {why}")
            return self._waiting(ws, found | {"refusal": why})

    def sync(self) -> Result:
        """Mark what is deleted or changed upstream; nothing is fetched."""
        from curate.fetch.coverage import totals
        from curate.fetch.sync import sync

        with self.session.drive("fetch", tells=True) as ws:
            configured.check(ws.config)
            sources, client = configured.sources(ws.config), self.session.client(ws.config)
            return self._waiting(ws, {"sync": sync(ws, sources, client, self.session.progress), **totals(ws)})

    def dedupe(
        self, against: str | None = None, forget: str | None = None, report: bool = False, clear: bool = False
    ) -> Result:
        """Find exact and near duplicates: groups, survivors, label conflicts.

        `against`: a folder or release that is held out from now on; `forget`: one that is no longer. `report` also
        writes dedupe.html, its pictures obscured unless `clear`.
        """
        from curate.dedupe.held_out import forget as let_go
        from curate.dedupe.held_out import hold_out

        with self.session.drive("dedupe") as ws:
            configured.check(ws.config)
            if forget is not None:
                let_go(ws, forget)
            engine, progress = self.session.engine(ws.config), self.session.progress
            held = {} if against is None else {"against": hold_out(ws, against, engine, progress)}
            result = self.grouped(ws)
            if report:
                from curate.report.duplicates import report as page

                result = {**result, "report": str(page(ws, progress, clear))}
        return Result({**result, **held})

    def explain(self, name: str) -> Result:
        """Why a sample is in its group; `name` is its id, a URL, a path or commons:PAGEID."""
        from curate.dedupe.explain import explain

        return Result(self.session.read(lambda ws: explain(ws, name)))

    def label(self) -> Result:
        """Score, vote, and turn votes into weak labels, with a report on each labelling function."""
        from curate.admin.following import following

        with self.session.drive("label") as ws:
            return Result({**self.labelled(ws), **following(ws)})

    def export(self, version: str) -> "Release":
        """Freeze a release behind the gates; raises GateError where one refuses."""
        with self.session.drive("export") as ws:
            result = self.exported(ws, version)
        return self.release(version, result)

    def train(self, version: str) -> Result:
        """Train and measure the baseline classifier on a release."""
        with self.session.drive("train") as ws:
            return Result(self.trained(ws, version))

    def run(self, version: str) -> Result:
        """Fetch, dedupe, label and export; a version that exists is left as it is."""
        from curate.release.versions import check_version

        with self.session.drive("run", tells=True) as ws:
            configured.check(ws.config)
            known = {row[0] for row in ws.catalog.all("SELECT version FROM releases")}
            if version not in known:
                check_version(ws, version)  # now, and not after hours
            try:
                result: dict[str, Any] = {"fetch": self.fetched(ws)}
            except MatchError as error:  # what it did stands under the verb's name, as the rest does
                raise MatchError(str(error), {"fetch": error.facts}) from error
            result |= {"dedupe": self.grouped(ws), "label": self.labelled(ws)}
            if version in known:
                self._note(f"release {version} exists and is left as it is; a higher version takes what is new")
            elif result["fetch"]["stored"] or not incomplete(result["fetch"]):
                result["export"] = self.exported(ws, version)
            return self._waiting(ws, result)

    # -- people --------------------------------------------------------------------------------------------------------

    def queue(self, name: str, size: int = 200, axis: str | None = None, again: bool = False) -> Result:
        """Draw what people look at next, or say how far a queue has come: counts, never an id."""
        from curate.plugins import names
        from curate.review.draw import Draw, describe, queue

        with self.session.open() as ws:
            drawn = ws.catalog.scalar("SELECT 1 FROM queues WHERE queue = ?", (name,))
            if name not in names("curate.review.queues") and drawn:
                return Result(describe(ws, name) | {"made": False})
            return Result(queue(ws, configured.queue(ws.config, name), Draw(axis, size, again)))

    def review(self, queue: str, reviewer: str, options: Any = None, size: int = 200, say: Any = None) -> Result:
        """Serve a queue to one reviewer in a browser until it is closed; `options`: `review.app.server.Options`.

        A queue that is not there yet is drawn, of `size` items. `say` is told the address.
        """
        from curate.review.app.server import Options, say_url
        from curate.review.app.session import review
        from curate.review.draw import Draw, newest
        from curate.review.draw import queue as draw

        self.session.obey()
        with self.session.open() as ws:
            found = newest(ws, queue)
            if ws.catalog.scalar("SELECT 1 FROM queues WHERE queue = ?", (found,)) is None:
                draw(ws, configured.queue(ws.config, queue), Draw(None, size))
            return Result(review(ws, newest(ws, queue), reviewer, options or Options(), say or say_url))

    def agreement(self, reviewer: str | None = None) -> Result:
        """Agreement between reviewers, accuracy on gold items, progress."""
        from curate.review.agreement import stats

        with self.session.open() as ws:
            return Result(stats(ws, reviewer))

    def adjudicate(self, sample: str, label: str, reviewer: str, reason: str, axis: str | None = None) -> Result:
        """Settle what people contradict each other about: the last word, by somebody else, with a reason."""
        from curate.review.adjudicate import Ruling, adjudicate

        with self.session.open() as ws:
            return Result(adjudicate(ws, Ruling(sample, label, reviewer, reason, axis)))

    def import_decisions(self, file: Path) -> Result:
        """Take human labels from a CSV file: path, url, sha256 or page_id; label, annotator, time, guideline."""
        from curate.review.decisions_csv import import_csv

        with self.session.drive("decisions import") as ws:
            return Result(import_csv(ws, Path(file)))

    def export_decisions(self, file: Path) -> Result:
        """Write every human label to a CSV file that another workspace can import."""
        from curate.review.decisions_csv import export_csv

        return self._said(lambda ws: export_csv(ws, Path(file)))

    # -- screening and removal -----------------------------------------------------------------------------------------

    def quarantine(self, name: str, reason: str, group: bool = False) -> Result:
        """Hold a sample back at once, with its near-duplicates and albums where `group`, until the operator decides."""
        from curate.screening.incidents import following
        from curate.screening.quarantine import quarantine

        with self.session.open() as ws:
            sample = lookup.one(ws.catalog, name)
            incident = quarantine(ws.catalog, sample, reason, group=group, actor=catalog.user(), told=True)
            held = len(holds.held_by(ws.catalog, incident))
        return Result({"incident": incident, "held_samples": held, "next": following(incident, "person", "open")})

    def screening_status(self) -> Result:
        """Which lists are loaded and how old they are, which entries are in doubt, and which incidents there are."""
        from dataclasses import asdict

        from curate.screening.incidents import overview
        from curate.screening.misfires import suspicious
        from curate.screening.set_aside import in_force

        def look(ws: Workspace) -> dict[str, Any]:
            gate = configured.gate(ws.config, ws.catalog)
            doubted = suspicious(ws.catalog, gate)
            result = gate.summary() | overview(ws) | {"suspicious": doubted[:SHOWN], "suspected": len(doubted)}
            if gate.banner is not None and not result["problems"]:
                self._note(gate.banner)
            rows = {one.name: [*one.corrupt, *one.doubts][:SHOWN] for one in gate.lists}
            return result | {"set_aside": [asdict(one) for one in in_force(ws.catalog)], "rows": rows}

        return Result(self.session.read(look))

    def incident(self, number: int, for_report: bool = False) -> Result:
        """What is on record of a match or a report; `for_report`: also what a hotline asks for. Never a picture."""
        from curate.screening.incidents import incident

        with self.session.open() as ws:
            return Result(incident(ws, number, for_report))

    def acknowledge(self, number: int, by: str) -> Result:
        """Say that somebody knows of an incident. Lets go of nothing."""
        from curate.screening.incidents import acknowledge

        with self.session.open(late=True) as ws:
            return Result(acknowledge(ws.catalog, number, by))

    def dispute(self, number: int, by: str, reason: str) -> Result:
        """Mark a match as false, from what is on record of it. Lets go of nothing."""
        from curate.screening.incidents import dispute

        with self.session.open(late=True) as ws:
            return Result(dispute(ws, number, by, reason))

    def release_incident(self, number: int, reason: str) -> Result:
        """Let go of what came with a match; of a match itself once its entry is set aside."""
        from curate.screening.incidents import release

        with self.session.drive("release", late=True) as ws:
            return Result(release(ws, number, reason, catalog.user(), ws.config.screening.entitled))

    def rescan(self) -> Result:
        """Screen all stored samples again, from stored hashes; remove what matches."""
        from curate.removal.rescan import rescan

        with self.session.drive("rescan", tells=True) as ws:
            gate, engine = configured.gate(ws.config, ws.catalog), self.session.engine(ws.config)
            result = rescan(ws, gate, engine, self.session.progress)
            self.session.note_void(result["void"])
            return self._waiting(ws, over(result["samples"], result["unhashed"]) | result)

    def takedown(
        self, name: str, reason: str, with_duplicates: bool = False, block_near: bool = False
    ) -> Result:  # fmt: skip
        """Delete an item and everything derived from it; it does not come back.

        `with_duplicates`: also what was collapsed with it; `block_near`: keep its PDQ, so that copies stay away, too.
        """
        from curate.removal.takedown import takedown

        with self.session.drive("takedown") as ws:
            return Result(takedown(ws, name, reason, with_duplicates, block_near))

    def takedown_deleted(self, reason: str = "deleted upstream") -> Result:
        """Delete everything that `sync` found deleted upstream."""
        from curate.removal.takedown import deleted

        with self.session.drive("takedown") as ws:
            return Result(deleted(ws, reason))

    def share(self, version: str, to: str) -> Result:
        """Write down who was given a release, so that a takedown can name them. Sends nothing."""
        from curate.release.share import share

        with self.session.drive("share") as ws:
            return Result(share(ws, version, to))

    # -- looking after it ----------------------------------------------------------------------------------------------

    def status(self, since: str | None = None) -> Result:
        """What the workspace holds, by source and reason; with `since` ("2026-11-01", "24h") also what came since."""
        from curate.admin.following import following
        from curate.admin.status import moment, status

        at = moment(since) if since else None
        return self._said(lambda ws: {**status(ws, at), **following(ws)})

    def log(self, last: int = 50) -> Result:
        """The append-only log: who did what, when."""
        from curate.admin.status import lately

        return self._said(lambda ws: {"log": lately(ws.catalog, last)})

    def report(self, out: Path | None = None) -> Path:
        """Write one self-contained page (default: report.html beside curate.toml), and say where."""
        from curate.report.run import report

        def write(ws: Workspace) -> Path:
            if ws.borrowed and out is None:
                raise UsageError(f"{ws.root} cannot be written; say where the report goes (--out FILE)")
            return report(ws, self.session.progress, out=out)

        return self.session.read(write)
