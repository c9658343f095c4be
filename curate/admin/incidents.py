"""What a project says and does about its screening gate."""

from dataclasses import dataclass
from os import fspath
from pathlib import Path
from typing import Any

from curate.admin import configured
from curate.admin.result import Result
from curate.admin.session import Session, interruptions
from curate.stats.coverage import over
from curate.store import catalog, holds, lookup
from curate.store.workspace import Workspace

SHOWN = 20  # corrupt and doubtful rows of lists that are named


@interruptions
@dataclass(frozen=True)
class Incidents:
    """The methods of a project about screening, incidents and what is held back."""

    session: Session

    def quarantine(self, name: str | Path, reason: str, group: bool = False) -> Result:
        """Hold a sample back at once, with its near-duplicates and albums where `group`, until the operator decides."""
        from curate.screening.incidents import following
        from curate.screening.quarantine import quarantine

        with self.session.open() as ws:
            sample = lookup.one(ws.catalog, fspath(name))
            incident = quarantine(ws.catalog, sample, reason, group=group, actor=catalog.user(), told=True)
            held = len(holds.held_by(ws.catalog, incident))
        return Result({"incident": incident, "held_samples": held, "next": following(incident, "person", "open")})

    def screening_status(self) -> Result:
        """Which lists are loaded and how old they are, which entries are in doubt, and which incidents there are."""
        from dataclasses import asdict

        from curate.screening.misfires import suspicious
        from curate.screening.overview import incidents, overview
        from curate.screening.set_aside import in_force

        def look(ws: Workspace) -> dict[str, Any]:
            gate = configured.gate(ws.config, ws.catalog)
            doubted = suspicious(ws.catalog, gate)
            result: dict[str, Any] = (
                gate.summary() | overview(ws, gate) | {"suspicious": doubted[:SHOWN], "suspected": len(doubted)}
            )
            result |= {"incident": incidents(ws.catalog, SHOWN)}
            if result["problems"]:
                refused = "; nothing is fetched" if gate.problems or gate.required else ""
                self.session.note(f"screening cannot answer: {result['problems'][0]}{refused}; {gate.remedy}")
            elif gate.banner is not None:
                self.session.note(gate.banner)
            rows = {one.name: [*one.corrupt, *one.doubts][:SHOWN] for one in gate.lists}
            return result | {"set_aside": [asdict(one) for one in in_force(ws.catalog)], "rows": rows}

        return Result(self.session.read(look))

    def screening_entry(
        self, name: str, act: str | None = None, reason: str = "", by: str | None = None, only: str | None = None,
        all_lists: bool = False, report: str | Path | None = None,
    ) -> Result:  # fmt: skip
        """What one hash of the lists has matched, by its first 8 digits and more; shows no picture.

        `act`: "set aside" lets it match nothing from now on, "restore" lets it match again; `report` is where a file
        for the list's owner goes. `only` names the list where several have it.
        """
        from curate.screening import entry
        from curate.store.reviewer import reviewer_name

        who = catalog.user() if by is None else reviewer_name(by, "--by")
        acts = {"set aside": entry.aside, "restore": entry.restore}
        with self.session.drive("entry") if act else self.session.open() as ws:
            found = entry.find(ws.catalog, configured.lists(ws.config), name)
            chosen = found.chosen(only, all_lists or not (act or report))
            done = acts[act](ws.catalog, found, chosen, who, reason) if act else entry.describe(ws.catalog, found)
            return Result(done | entry.report(ws.catalog, found, chosen, Path(report)) if report is not None else done)

    def incident(self, number: int | None = None, for_report: bool = False) -> Result:
        """What is on record of a match or a report, never a picture; without `number`, which incidents there are.

        `for_report`: also what a hotline asks for.
        """
        from curate.screening.incidents import incident
        from curate.screening.overview import incidents

        with self.session.open() as ws:
            if number is None:
                return Result({"incidents": incidents(ws.catalog)})
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

    def close_incident(self, number: int, by: str, reason: str) -> Result:
        """End an incident that was true and was reported: what matched stays out for good. Lets go of nothing."""
        from curate.screening.incidents import close

        with self.session.drive("close", late=True) as ws:
            return Result(close(ws, number, by, reason))

    def rescan(self) -> Result:
        """Screen all stored samples again, from stored hashes; remove what matches."""
        from curate.removal.rescan import rescan

        with self.session.drive("rescan", tells=True) as ws:
            gate, engine = configured.gate(ws.config, ws.catalog), self.session.engine(ws.config)
            result = rescan(ws, gate, engine, self.session.progress)
            self.session.note_void(result["void"])
            return Result.waiting(ws, over(result["samples"], result["unhashed"]) | result)
