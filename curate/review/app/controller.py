"""Between the browser and the journal: which item is which, what may be shown now, and what an original costs."""

import secrets
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.errors import GoneError
from curate.records import UNSURE
from curate.review.app.thumbnails import ThumbnailStyle, name_of
from curate.review.assignment import Item, available_items, sheets
from curate.review.journal import Journal
from curate.review.yields import recent
from curate.store.reviewer import pseudonym

TICKET = 30.0  # seconds for which the address of an original is good, once
IDLE = 600.0  # seconds; more is not believed to have been spent on one item


Vanish = Callable[[list[str]], None]
Readmit = Callable[[str], "ItemView | None"]


@dataclass(frozen=True, slots=True)
class ItemView:
    """An item as the browser knows it: `key` is FiftyOne's id of it."""

    key: str
    item: Item


class Controller:
    """One reviewer at work. Calls come from several threads.

    `vanish` takes samples out of what FiftyOne shows, `readmit` puts one in that an earlier session was done with.
    `shown`: what is on the sheets of items that stand for others; one that loses any of these is gone.
    """

    def __init__(
        self, journal: Journal, cards: Sequence[ItemView], media: Path, look: ThumbnailStyle, vanish: Vanish,
        readmit: Readmit = lambda _: None, shown: Mapping[str, Sequence[str]] | None = None,
    ) -> None:  # fmt: skip
        self._shown = shown or {}
        self.journal, self.media, self.look, self._vanish, self._readmit = journal, media, look, vanish, readmit
        self._cards = {card.key: card for card in cards}
        self._keys = {card.item.sample: card.key for card in cards}
        self._order = [card.key for card in cards]
        self._pending = set(self._order)
        self._labels: dict[str, str] = {}
        self._tickets: dict[str, tuple[str, float]] = {}
        self._spent: list[float] = []
        self._version = -1
        self._purged = 0
        self._lock = threading.RLock()
        self.seen_at = time.monotonic()
        self.gone = 0
        self.refresh()

    # -- what the browser asks -----------------------------------------------------------------------------------

    def about(self) -> dict[str, Any]:
        """What does not change in a session."""
        axis, guide = self.journal.axis, self.journal.guideline
        return {
            "queue": self.journal.queue, "reviewer": self.journal.reviewer, "axis": axis.name,
            "classes": list(axis.classes), "guideline": guide.text, "unobscured": self.look.unobscured,
        }  # fmt: skip

    def state(self, key: str | None) -> dict[str, Any]:
        """Where the session stands, and the item on screen, if any."""
        with self._lock:
            self.seen_at = time.monotonic()
            self.refresh()
            exposure = self.journal.exposure()
            card = self._cards.get(key or "")
            shown = None
            if card is not None:
                shown = {"id": card.key, "pending": card.key in self._pending, "label": self._labels.get(card.key),
                         "sheet": len(self._shown.get(card.item.sample, ()))}  # fmt: skip
            return {
                "item": shown, "next": self._next(key), "after": self._beside(key, 1), "before": self._beside(key, -1),
                "left": len(self._pending), "done": len(self._labels), "gone": self.gone, "purged": self._purged,
                "minutes": exposure.seconds / 60, "reveals": exposure.reveals, "pause_until": exposure.pause_until,
                "pace": statistics.median(self._spent) if self._spent else None,
                "recent": None if self.journal.blind else recent(self.journal.catalog, self.journal.queue),
            }  # fmt: skip

    def decide(self, key: str, label: str, seconds: float | None, nonce: str, was: str | None) -> dict[str, Any]:
        """Record a decision; `was` is the one that the reviewer saw on it, so that a stale tab overrules nothing."""
        with self._lock:
            card = self._card(key)
            now = self._labels.get(key)
            if now is not None and now != label and was != now:
                return {"already": now, **self.state(key)}
            if key not in self._pending and now is None:
                raise GoneError("this item is no longer asked of you; the next one is another")
            spent = None if seconds is None else max(0.0, min(float(seconds), IDLE))
            media = "unobscured" if self.look.unobscured else "obscured"  # the journal knows what was revealed
            self.journal.decide(card.item.sample, label, spent, media, nonce)  # type: ignore[arg-type]
            self._labels[key] = label
            self._pending.discard(key)
            self._spent += [spent] if spent is not None else []
            return self.state(key)

    def undo(self, nonce: str) -> dict[str, Any]:
        """Take the last decision back, and say which item it was of."""
        with self._lock:
            taken = self.journal.undo(nonce)
            if taken is not None and taken.sample not in self._keys:
                self._admit(self._readmit(taken.sample))
            key = self._keys.get(taken.sample) if taken is not None else None
            if key is not None:
                self._labels.pop(key, None)
                self._pending.add(key)
            return {"undone": taken is not None, "id": key, **self.state(key)}

    def skip(self, key: str, nonce: str) -> dict[str, Any]:
        """Put an item last."""
        with self._lock:
            self.journal.skip(self._card(key).item.sample, nonce)
            if key in self._order:
                self._order.remove(key)
                self._order.append(key)
            return self.state(key)

    def decline(self, key: str, nonce: str) -> dict[str, Any]:
        """Not for this reviewer: gone from here, left to others."""
        with self._lock:
            card = self._card(key)
            self.journal.decline(card.item.sample, nonce)
            self._pending.discard(key)
            return self.state(key)

    def escalate(self, key: str, reason: str, nonce: str) -> dict[str, Any]:
        """Quarantine an item, its group and its album; nobody is shown any of it again."""
        with self._lock:
            card = self._card(key)
            incident = self.journal.escalate(card.item.sample, reason, nonce)
            self.refresh(force=True)
            return {"incident": incident, **self.state(key)}

    def reveal(self, key: str, nonce: str) -> str:
        """Put a reveal on record, then give a ticket for the original: good once, and for seconds."""
        with self._lock:
            sample = self._card(key).item.sample
            self.journal.reveal(sample, nonce)
            ticket = secrets.token_urlsafe(16)
            self._tickets = {ticket: (sample, time.monotonic() + TICKET)}  # another one's is over
            return ticket

    def obscure(self) -> None:
        """Whatever was revealed is over."""
        with self._lock:
            self._tickets.clear()

    def redeem(self, ticket: str) -> str | None:
        """The sample that a ticket is for; None for one that is used, old, or of what is held by now."""
        with self._lock:
            sample, until = self._tickets.pop(ticket, ("", 0.0))
            self.refresh()
            return sample if time.monotonic() < until and sample in self._keys else None

    # -- FiftyOne's own edits --------------------------------------------------------------------------------------

    def tagged(self, sample: str, label: str) -> None:
        """Record a decision that was given with FiftyOne's own tools."""
        with self._lock:
            self.refresh()
            if sample not in self._keys:
                raise GoneError("not an item of this session")
            media = "unobscured" if self.look.unobscured else "obscured"
            self.journal.decide(sample, label, None, media)  # type: ignore[arg-type]
            key = self._keys[sample]
            self._labels[key] = label
            self._pending.discard(key)

    def refuse(self, sample: str, reason: str) -> None:
        """A row for an edit that is no decision."""
        subject = sample if sample in self._keys else "unknown"
        with self.journal.catalog.tx() as db:
            who = pseudonym(self.journal.catalog, self.journal.reviewer)  # the report prints it
            row = ("label_edit", subject, self.journal.axis.name, f"{who}: {reason}")
            db.execute("INSERT OR REPLACE INTO conflicts (kind, subject, axis, reason) VALUES (?, ?, ?, ?)", row)

    # -- what may be shown ---------------------------------------------------------------------------------------

    def shows(self, name: str) -> bool:
        """Whether a thumbnail may be seen now."""
        with self._lock:
            self.refresh()
            sample = name.partition(".")[0]
            return sample in self._keys and name == name_of(sample, self.look)

    def paused(self) -> bool:
        """Whether a pause is under way."""
        until = self.journal.catalog.scalar(
            "SELECT pause_until FROM exposure WHERE reviewer = ?", (self.journal.reviewer,)
        )
        return until is not None and until > self.journal.clock()

    def refresh(self, *, force: bool = False) -> None:
        """Look again at what is held, gone or judged by others, where the catalog has changed since."""
        catalog = self.journal.catalog
        version = catalog.scalar("PRAGMA data_version")
        if version == self._version and not force:
            return
        self._version = version
        now = sheets(catalog, self.journal.queue) if self._shown else {}
        here = {row["sample"] for row in available_items(catalog, self.journal.queue)}
        here -= {item for item, shown in self._shown.items() if now.get(item) != shown}
        off = [key for key, card in self._cards.items() if card.item.sample not in here]
        if off:
            self.gone += len(off)
            self._take_off(off)
        left = {item.sample for item in self.journal.items()}
        self._pending = {key for key, card in self._cards.items() if card.item.sample in left}
        mine = "SELECT sample, label FROM in_force WHERE queue = ? AND reviewer = ? AND session IS NOT NULL"
        rows = catalog.all(mine, (self.journal.queue, self.journal.reviewer))
        self._labels = {self._keys[row[0]]: row[1] for row in rows if row[0] in self._keys}

    def first(self) -> str | None:
        """Where to begin, or to go on."""
        with self._lock:
            self.refresh()
            return self._next(None)

    # -- parts ---------------------------------------------------------------------------------------------------

    def _admit(self, card: ItemView | None) -> None:
        if card is not None:
            self._cards[card.key], self._keys[card.item.sample] = card, card.key
            self._order.append(card.key)
            self._purged += 1  # the browser does not know it yet: it loads the page anew

    def _card(self, key: str) -> ItemView:
        self.refresh()
        if key not in self._cards:
            raise GoneError("this item is not here any more; the next one is another")
        return self._cards[key]

    def _next(self, key: str | None) -> str | None:
        """The first item that is left after this one; from the start where there is none after it."""
        at = self._order.index(key) + 1 if key in self._order else 0
        return next(
            (one for one in (*self._order[at:], *self._order[:at]) if one in self._pending and one != key), None
        )

    def _beside(self, key: str | None, way: int) -> str | None:
        """The item before or after this one, decided or not; round at the ends."""
        if key not in self._order:
            return self._order[0] if self._order else None
        return self._order[(self._order.index(key) + way) % len(self._order)]

    def _take_off(self, keys: list[str]) -> None:
        """Take items out of everything that this session shows."""
        for key in keys:
            card = self._cards.pop(key)
            self._keys.pop(card.item.sample, None)
            self._labels.pop(key, None)
            self._pending.discard(key)
            if key in self._order:
                self._order.remove(key)
            (self.media / name_of(card.item.sample, self.look)).unlink(missing_ok=True)
            self._tickets = {t: one for t, one in self._tickets.items() if one[0] != card.item.sample}
        self._purged += len(keys)
        self._vanish(keys)


def choices(journal: Journal) -> tuple[str, ...]:
    """What a decision may say, in the order of the keys 1, 2, 3, ..."""
    return (*journal.axis.classes, UNSURE)
