"""The journal as a state machine: any acts of several reviewers, in any order, repeated and restarted at will."""

import itertools
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from curate.config import Config, ReviewConfig
from curate.errors import CurateError, GoneError, PauseError, UsageError
from curate.review.journal import Journal
from curate.screening.quarantine import quarantine
from curate.store import views
from tests.support.queues import IDS, Clock, queue, workspace

SHOWN = IDS[:3]
WHO = st.sampled_from(["ada", "bob"])
QUEUE = st.sampled_from(["uncertain", "audit"])
WHICH = st.sampled_from(SHOWN)
LABEL = st.sampled_from(["porn", "neutral", "unsure"])


def refused(act: Callable[[], int]) -> int | CurateError:
    """What an act gave, or why it was refused."""
    try:
        return act()
    except (GoneError, PauseError) as error:
        return error


class Machine(RuleBasedStateMachine):
    """A model of the journal: who has decided what, in which order; everything else must follow from it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        config = Config(review=ReviewConfig(max_minutes=3, max_reveals=2))
        self.ws = workspace(Path(self.folder.name) / "ws", 3, config)
        queue(self.ws, "uncertain", SHOWN, raters=2)
        queue(self.ws, "audit", SHOWN, blind=True, raters=1, inclusion=0.5)
        self.clock = Clock()
        self.journals: dict[tuple[str, str], Journal] = {}
        self.given: defaultdict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)  # in the order of time
        self.declined: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self.held: set[str] = set()
        self.rows, self.events, self.numbers = 0, 0, itertools.count()
        self.last: tuple[str, str, str, str, str] | None = None

    def journal(self, name: str, who: str) -> Journal:
        if (name, who) not in self.journals:
            self.journals[name, who] = Journal(self.ws.catalog, self.ws.config, name, who, self.clock)
        return self.journals[name, who]

    def nonce(self) -> str:
        return str(next(self.numbers))

    @rule(name=QUEUE, who=WHO, sample=WHICH, label=LABEL)
    def decide(self, name: str, who: str, sample: str, label: str) -> None:
        nonce = self.nonce()
        number = refused(lambda: self.journal(name, who).decide(sample, label, 1.0, nonce=nonce))
        assert not isinstance(number, GoneError) or sample in self.held
        if isinstance(number, CurateError):
            return
        assert sample not in self.held
        mine = self.given[name, who]
        before = dict(mine).get(sample)
        if before != label:
            self.rows += 1 + (before is not None)
            self.given[name, who] = [one for one in mine if one[0] != sample] + [(sample, label)]
            self.last = (name, who, sample, label, nonce)
            assert self.journal(name, who).decide(sample, label, 1.0, nonce=nonce) == number

    @precondition(lambda self: self.last is not None)
    @rule()
    def repeat(self) -> None:
        """The same request once more, perhaps long after, changes nothing."""
        assert self.last is not None
        name, who, sample, label, nonce = self.last
        self.journal(name, who).decide(sample, label, 1.0, nonce=nonce)

    @rule(name=QUEUE, who=WHO)
    def undo(self, name: str, who: str) -> None:
        mine, nonce = self.given[name, who], self.nonce()
        taken = self.journal(name, who).undo(nonce)
        if not mine:
            assert taken is None
            return
        assert taken is not None
        assert (taken.sample, taken.label) == mine.pop()
        assert self.journal(name, who).undo(nonce) == taken
        self.rows += 1

    @rule(name=QUEUE, who=WHO, sample=WHICH, kind=st.sampled_from(["skip", "decline", "reveal"]))
    def beside(self, name: str, who: str, sample: str, kind: str) -> None:
        act = getattr(self.journal(name, who), kind)
        number = refused(lambda: act(sample, nonce=self.nonce()))
        assert not isinstance(number, GoneError) or sample in self.held
        assert not (kind == "decline" and isinstance(number, PauseError)), "declining is always possible"
        if isinstance(number, CurateError):
            return
        self.events += 1
        if kind == "decline":
            self.declined[name, who].add(sample)

    @rule(sample=st.just(SHOWN[0]))
    def hold(self, sample: str) -> None:
        quarantine(self.ws.catalog, sample, "held", actor="test")
        self.held.add(sample)

    @rule(seconds=st.sampled_from([1.0, 59.0, 3600.0, -30.0]))
    def wait(self, seconds: float) -> None:
        self.clock.later(seconds)

    @rule(name=QUEUE, who=WHO)
    def restart(self, name: str, who: str) -> None:
        self.journals.pop((name, who), None)

    @rule(name=QUEUE, who=WHO, sample=WHICH)
    def nonsense(self, name: str, who: str, sample: str) -> None:
        for bad in ((sample, "pron"), ("f" * 64, "porn"), (IDS[50], "porn")):
            with pytest.raises(CurateError) as raised:
                self.journal(name, who).decide(*bad)
            assert isinstance(raised.value, (UsageError, GoneError))

    # -- what must always hold -----------------------------------------------------------------------------------

    @invariant()
    def every_row_is_there_and_no_other(self) -> None:
        assert self.ws.catalog.scalar("SELECT count(*) FROM decisions") == self.rows
        assert self.ws.catalog.scalar("SELECT count(*) FROM review_events") == self.events

    @invariant()
    def what_is_in_force_is_what_was_given_last(self) -> None:
        rows = self.ws.catalog.all("SELECT queue, reviewer, sample, label FROM in_force ORDER BY decision")
        found: defaultdict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
        for row in rows:
            found[row["queue"], row["reviewer"]].append((row["sample"], row["label"]))
        assert dict(found) == {key: value for key, value in self.given.items() if value}

    @invariant()
    def time_goes_forward(self) -> None:
        for who in ("ada", "bob"):
            rows = self.ws.catalog.all("SELECT decided_at FROM decisions WHERE reviewer = ? ORDER BY decision", (who,))
            times = [row[0] for row in rows]
            assert times == sorted(set(times))

    @invariant()
    def what_is_left_is_what_is_open(self) -> None:
        for name, who in itertools.product(("uncertain", "audit"), ("ada", "bob")):
            need = {"uncertain": 2, "audit": 1}[name]
            other = {"ada": "bob", "bob": "ada"}[who]
            mine, theirs = dict(self.given[name, who]), dict(self.given[name, other])
            enough = set(theirs) if need == 1 else set()
            open_ = set(SHOWN) - self.held - set(mine) - enough - self.declined[name, who]
            items = self.journal(name, who).items()
            assert {one.sample for one in items} == open_
            assert [one.position for one in items] == list(range(len(items)))
            assert all(one.blind == (name == "audit") for one in items)
            assert all(one.inclusion is None for one in items)

    @invariant()
    def only_the_audit_feeds_figures(self) -> None:
        found = views.audited(self.ws.catalog, "content", "1")
        wanted = {(who, *one) for who in ("ada", "bob") for one in self.given["audit", who]}
        assert {(one.reviewer, one.sample, one.label) for one in found} == wanted

    def teardown(self) -> None:
        assert self.ws.catalog.broken_links() == []
        self.ws.close()
        self.folder.cleanup()


Machine.TestCase.settings = settings(max_examples=20, stateful_step_count=25)
TestJournal = Machine.TestCase
