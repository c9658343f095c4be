"""A project from Python: `curate.open(folder)`. The commands call the same methods, and print what they return."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import fspath
from os.path import realpath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.admin import configured, stages
from curate.admin.incidents import Incidents
from curate.admin.models import Models
from curate.admin.releases import Releases
from curate.admin.result import Estimates, Result
from curate.admin.session import NO_CONTACT, Session, interruptible, interruptions, refuse
from curate.admin.tables import Tables, held_back
from curate.config import CONFIG_NAME, Config
from curate.errors import MatchError, UsageError
from curate.options import at_least, texts
from curate.stats.coverage import incomplete
from curate.store.workspace import Workspace, check_place, find_root

if TYPE_CHECKING:
    from curate.admin.doctor import Check
    from curate.checks.findings import Findings
    from curate.release.access import Release


@interruptions
@dataclass(frozen=True)
class Project(Tables, Releases, Incidents, Models):
    """A folder with curate.toml and the workspace beside it.

    It holds nothing open: each method opens the workspace, and those that write hold its lock and record their run, as
    the command of that name does. Raises the errors of `curate.errors`: UsageError for what is asked wrongly, BusyError
    where another process drives, GateError and MatchError where screening or a gate of a release says no.
    """

    def __repr__(self) -> str:
        return f"curate.open({str(self.session.root)!r})"

    # -- the pipeline --------------------------------------------------------------------------------------------------

    def fetch(
        self, limit: int | None = None, sample: int | None = None, relist: bool = False,
        retry: str | Sequence[str] | None = None, force: bool = False, max_failures: int | None = None,
    ) -> Result:  # fmt: skip
        """Run every source; what is stored is not asked for again.

        `limit`: candidates of this run at most; `sample`: about so many, drawn by class and host; `relist`: list every
        source anew; `retry`: reasons of failures to ask again for ([]: all that may pass; `force`: also answers).
        `max_failures`: more than that make the answer incomplete.
        """
        from curate.fetch.coverage import too_many
        from curate.fetch.listing import relist as begin_again
        from curate.fetch.reopen import retry as reopen

        at_least(1, limit=limit, sample=sample)
        at_least(0, max_failures=max_failures)
        asked = None if retry is None else texts(retry)
        with self.session.drive("fetch", tells=True) as ws:
            configured.check(ws.config)
            if relist:
                begin_again(ws.catalog)
            if asked is not None:
                self.session.note(f"{reopen(ws.catalog, asked, force)} failed candidates are asked for again")
            facts = stages.fetched(self.session, ws, limit, sample)
            why = too_many(facts, max_failures)
            return Result.waiting(ws, facts | {"incomplete": why} if why else facts)

    def plan(self) -> Result:
        """How much the sources hold and what it will cost; nothing is fetched. `refusal`: why `fetch` would say no."""
        from curate.fetch.plan import plan

        with self.session.drive("fetch", tells=True) as ws:
            configured.check(ws.config)
            sources = configured.sources(ws.config)
            found = plan(ws, sources, self.session.client(ws.config), self.session.progress)
            why = stages.refusal(ws, sources)
            why = why or (NO_CONTACT if found["hosts"] and ws.config.fetch.contact is None else None)
            if why:
                self.session.note(f"`curate fetch` would refuse this: {why}")
            return Result.waiting(ws, found | {"refusal": why})

    def sync(self) -> Result:
        """Mark what is deleted or changed upstream; nothing is fetched."""
        from curate.fetch.coverage import totals
        from curate.fetch.sync import sync

        with self.session.drive("fetch", tells=True) as ws:
            configured.check(ws.config)
            sources, client = configured.sources(ws.config), self.session.client(ws.config)
            return Result.waiting(ws, {"sync": sync(ws, sources, client, self.session.progress), **totals(ws)})

    def dedupe(
        self, against: str | Path | None = None, forget: str | Path | None = None, report: bool = False,
        clear: bool = False, from_gate: bool = False,
    ) -> Result:  # fmt: skip
        """Find exact and near duplicates: groups, survivors, label conflicts.

        `against`: a folder or release that is held out from now on; `forget`: one that is no longer. `report` also
        writes dedupe.html, its pictures obscured unless `clear`. `from_gate`: what an export's second look refuses is
        one group from now on.
        """
        from curate.dedupe.held_out import forget as let_go
        from curate.dedupe.held_out import hold_out

        with self.session.drive("dedupe") as ws:
            configured.check(ws.config)
            if forget is not None:
                let_go(ws, fspath(forget))
            engine, progress = self.session.engine(ws.config), self.session.progress
            held = {} if against is None else {"against": hold_out(ws, fspath(against), engine, progress)}
            ws.said = result = stages.grouped(self.session, ws, from_gate)
            if report:
                from curate.report.duplicates import report as page

                result = {**result, "report": str(page(ws, progress, clear))}
        return Result({**result, **held})

    def explain(self, name: str | Path) -> Result:
        """Why a sample is in its group; `name` is its id, a URL, a path or commons:PAGEID."""
        from curate.dedupe.explain import explain

        return Result(self.session.read(lambda ws: explain(ws, fspath(name))))

    def label(self) -> Result:
        """Score, vote, and turn votes into weak labels, with a report on each labelling function."""
        from curate.admin.following import following

        with self.session.drive("label") as ws:
            ws.said = facts = {**stages.labelled(self.session, ws), **following(ws)}
        return Result(facts)

    def relabel(self, mapping: str | Path) -> Result:
        """Follow a change of the taxonomy: a TOML file says what became of each class. Decisions that it carries over
        are carried, the others are queued (`relabel`), and weak labels are made again; what was said stays as it was.
        """
        from curate.admin.following import following

        with self.session.drive("relabel") as ws:
            ws.said = facts = {**stages.relabelled(self.session, ws, Path(mapping)), **following(ws)}
        return Result(facts)

    def try_functions(self, file: str | Path, size: int | None = None) -> Result:
        """What the labelling functions of a file would vote on `size` samples (10,000), cover and contradict, and how
        often people bear them out; writes functions.html with examples of each vote, obscured, and nothing else."""
        at_least(1, size=size)
        return Result(self.session.read(lambda ws: stages.tried(self.session, ws, Path(file), size)))

    def run(self, version: str, acknowledge: str | None = None) -> Result:
        """Fetch, dedupe, label and export; a version that exists is left as it is.

        `acknowledge`: as `export` has it.
        """
        from curate.release import signing
        from curate.release.versions import check_version

        with self.session.drive("run", tells=True) as ws:
            configured.check(ws.config)
            known = {row[0] for row in ws.catalog.all("SELECT version FROM releases")}
            if version not in known:
                check_version(ws, version)  # now, and not after hours
                signing.of(ws)
            try:
                result: dict[str, Any] = {"fetch": stages.fetched(self.session, ws)}
            except MatchError as error:  # what it did stands under the verb's name, as the rest does
                raise MatchError(str(error), {"fetch": error.facts}) from error
            result |= {"dedupe": stages.grouped(self.session, ws), "label": stages.labelled(self.session, ws)}
            if version in known:
                self.session.note(f"release {version} exists and is left as it is; a higher version takes what is new")
            elif result["fetch"]["stored"] or not incomplete(result["fetch"]):
                result["export"] = stages.exported(self.session, ws, version, acknowledged=acknowledge)
            return Result.waiting(ws, result)

    # -- people --------------------------------------------------------------------------------------------------------

    def queue(self, name: str, size: int = 200, axis: str | None = None, again: bool = False) -> Result:
        """Draw what people look at next, or say how far a queue has come: counts, never an id."""
        from curate.review.draw import Draw, describe, queue

        at_least(1, size=size)
        with self.session.open() as ws:
            drawn = ws.catalog.scalar("SELECT 1 FROM queues WHERE queue = ?", (name,))
            if name not in configured.queues(ws.config) and drawn:
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

        at_least(1, size=size)
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

    def adjudicate(self, sample: str | Path, label: str, reviewer: str, reason: str, axis: str | None = None) -> Result:
        """Settle what people contradict each other about: the last word, by somebody else, with a reason."""
        from curate.review.adjudicate import Ruling, adjudicate

        with self.session.open() as ws:
            return Result(adjudicate(ws, Ruling(fspath(sample), label, reviewer, reason, axis)))

    def estimate(
        self, axis: str | None = None, queue: str | None = None, score: str | Path | None = None,
        threshold: float | None = None, of: str = "not_safe", plan: str | None = None,
    ) -> Estimates:  # fmt: skip
        """How right the labels are, from the decisions of an audit: `figures`, each with its interval; `frame()` has
        them as a DataFrame.

        `score` and `threshold`: also of a labeler's column or a file of sha256 and score, which calls the class `of`.
        `plan`: "recall=0.02", what an interval of this half-width costs.
        """
        return Estimates(self.session.read(lambda ws: stages.estimated(ws, axis, queue, (score, threshold, of), plan)))

    def import_decisions(self, file: str | Path) -> Result:
        """Take human labels from a CSV file: path, url, sha256 or page_id; label, annotator, time, guideline."""
        from curate.review.decisions_csv import import_csv

        with self.session.drive("decisions import") as ws:
            ws.said = facts = import_csv(ws, Path(file))
        return Result(facts)

    def export_decisions(self, file: str | Path, force: bool = False) -> Result:
        """Write every human label to a CSV file that another workspace can import; `force` replaces one."""
        from curate.review.decisions_csv import export_csv

        return self._said(lambda ws: export_csv(ws, Path(file), force))

    # -- removal -------------------------------------------------------------------------------------------------------

    def takedown(
        self, name: str | Path, reason: str, with_duplicates: bool = False, block_near: bool = False
    ) -> Result:  # fmt: skip
        """Delete an item and everything derived from it; it does not come back.

        `with_duplicates`: also what was collapsed with it; `block_near`: keep its PDQ, so that copies stay away, too.
        """
        from curate.removal.takedown import takedown

        with self.session.drive("takedown") as ws:
            return Result(takedown(ws, fspath(name), reason, with_duplicates, block_near))

    def takedown_deleted(self, reason: str = "deleted upstream") -> Result:
        """Delete everything that `sync` found deleted upstream."""
        from curate.removal.takedown import deleted

        with self.session.drive("takedown") as ws:
            return Result(deleted(ws, reason))

    # -- looking after it ----------------------------------------------------------------------------------------------

    def status(self, since: str | None = None) -> Result:
        """What the workspace holds, by source and reason; with `since` ("2026-11-01", "24h") also what came since."""
        from curate.admin.following import status_and_next
        from curate.admin.status import moment

        at = moment(since) if since else None
        return self._said(lambda ws: status_and_next(ws, at))

    def log(self, last: int = 50) -> Result:
        """The append-only log: who did what, when."""
        from curate.admin.status import lately

        at_least(1, last=last)
        return self._said(lambda ws: {"log": lately(ws.catalog, last)})

    def report(self, out: str | Path | None = None) -> Path:
        """Write one self-contained page (default: report.html beside curate.toml), and say where."""
        from curate.report.run import report

        def write(ws: Workspace) -> Path:
            if ws.borrowed and out is None:
                raise UsageError(f"{ws.root} cannot be written; say where the report goes (--out FILE, out=FILE)")
            return report(ws, self.session.progress, out=None if out is None else Path(out))

        return self.session.read(write)

    def verify(self, repair: bool = False, rebuild: bool = False, forget: str | Path | None = None) -> Result:
        """Hash every blob again; check catalog, log, journal, tables and releases. `items` says what is wrong.

        `repair` makes again what can be; with `rebuild` also the catalog, from what lies beside it; `forget` names
        something that was deleted on purpose, and does nothing else.
        """
        from curate.admin import verifying

        if forget is not None:
            return Result(verifying.forgotten(self.session, fspath(forget)))
        return Result(verifying.verified(self.session, repair, rebuild))

    def doctor(self) -> "list[Check]":
        """What this machine has and lacks, and how to mend it."""
        from curate.admin.verifying import examined

        return examined(self.session.root, self.session)

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _said(self, act: Callable[[Workspace], Mapping[str, Any]]) -> Result:
        """What `act` says of the workspace, in any case; then raise WitnessError where something is missing."""
        result, doubts = self.session.read(lambda ws: (act(ws), ws.doubts()), "leave")
        refuse(doubts, result)
        return Result(result)


@interruptible()
def open(folder: str | Path = ".", quiet: bool = False) -> Project:
    """The project in a folder with curate.toml, or in the nearest folder above that has one.

    `quiet`: no progress and no notes on stderr. Raises UsageError where there is none.
    """
    if not Path(folder).exists():
        raise UsageError(f"{folder}: no such folder; `curate.init` makes a new project")
    found = find_root(Path(folder).resolve())
    if found is None:
        raise UsageError(f"{folder}: no {CONFIG_NAME} there or in a folder above; `curate.init` makes one")
    return Project(Session(found, quiet))


@interruptible()
def init(
    folder: str | Path, sources: Sequence[Mapping[str, Any]] = (), quiet: bool = False,
    lists: Sequence[Mapping[str, Any]] = (), screening: bool = True,
) -> Project:  # fmt: skip
    """Write a commented curate.toml and make an empty workspace.

    `sources`: tables as curate.toml has them, `[{"use": "local", "path": "images", "label_from": "folder"}]`, written
    into it; `lists` likewise its [[screening.lists]]. `screening=False`: no list is required, which is possible where
    every class of every source is safe; each run says so, and each release. Raises UsageError where there is one, or
    where a table is wrong: then nothing is left behind.
    """
    from curate.admin.init import write_config
    from curate.config import load

    project = Project(Session(root := Path(folder).absolute(), quiet))  # first: it says where nothing can be made
    check_place(root)
    write_config(root, sources, lists, screening)
    Workspace(root, load(root)).close()
    return project


@interruptible()
def load_release(folder: str | Path) -> "Release":
    """A release from its folder; with its pictures where that lies in a workspace, which says what is held back, or
    where pictures were exported to it (imagefolder, webdataset), else rows alone.

    Raises StoreError for a file that is missing or is not the one that was released.
    """
    from curate.release.access import Release, check_folder
    from curate.release.exported import is_exported, read
    from curate.release.reader import load

    path = Path(realpath(folder))  # `resolve` raises where a link leads to itself
    root = next((one for one in path.parents[2:4] if (one / CONFIG_NAME).is_file()), path)
    if is_exported(path):
        return Release(*read(path), held_back(Session(root, True)) if root / "work/exports" in path.parents else tuple)
    if path.parent == root / "work" / "releases":
        return Project(Session(root, quiet=True)).release(path.name)
    check_folder(path)
    return Release(load(path))


@interruptible()
def check(
    folder: str | Path | None = None, list: str | Path | None = None, splits: str | Sequence[str] = (),
    keep: str = "test",
) -> "Findings":  # fmt: skip
    """Ask of a dataset on disk: leaks across splits, duplicates, label conflicts, what gives labels away.

    `folder` holds <split>/<class>/x.jpg or <class>/x.jpg, `list` is a CSV or Parquet of path, label, split; needs no
    project, and writes nothing. `splits` names the splits, `["train", "test"]` or `"train,test"`; `keep` ("test",
    "train", "largest") says whose copy stays. Raises UsageError for names that there are not.
    """
    from curate.checks import dataset
    from curate.checks import keep as rule
    from curate.checks.findings import Findings
    from curate.checks.run import check as ask

    rule.check(keep)
    session = Session(Path(), quiet=True)
    root, table = (None if one is None else Path(one) for one in (folder, list))
    found = dataset.read(root, table, dataset.split_names(splits), outside=False)
    return Findings(ask(found, session.engine(Config()), session.progress, keep))
