"""The gate that every byte passes before it is kept. A gate that cannot answer says no."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from curate.contracts import HashList, Matcher
from curate.errors import CurateError, GateError
from curate.media import pdq
from curate.media.pdq import Pdq
from curate.records import Digests
from curate.screening.entries import Entries
from curate.screening.listed import LoadedList, Match, Terms

if TYPE_CHECKING:
    from curate.screening.index import Bytes

__all__ = ["BANNER", "REMEDY", "Gate", "LoadedList", "Match", "Verdict", "load"]

REMEDY = "see docs/screening.md"
BANNER = "SCREENING IS OFF: no hash list is loaded; every release will say so"
NOTHING = "nothing can match: every hash of every list is set aside"
IDLE = "SCREENING MATCHES NOTHING: every hash of every list is set aside"
BACK = "`curate screening entry HASH --restore --reason TEXT` lets one match again"
NONE = "required, and no list is loaded"
SKEW = timedelta(hours=1)  # by which clocks may differ; a list from later than that has a wrong date
UNSAID = ("doubts", "newest", "origin", "matched")  # what is no matter of a release


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says of one item: a match, why there is no answer (`unavailable`), or neither.

    `exact_only`: the picture says too little for PDQ (quality below 50), so only its digests were looked up.
    """

    match: Match | None = None
    unavailable: str = ""
    exact_only: bool = False
    remote: bool = False  # it is a matcher that does not answer: nothing more will be known in this run


@dataclass
class Gate:
    """The loaded lists, the remote matchers, and whether an answer is required. Build it with `load`."""

    required: bool
    lists: tuple[LoadedList, ...] = ()
    problems: tuple[str, ...] = ()
    stop_after_matches: int = 1
    matchers: tuple[tuple[str, Matcher], ...] = ()
    _entries: Entries = field(default_factory=Entries, repr=False)

    @property
    def active(self) -> bool:
        """True when there is something to screen against."""
        return any(one.positive for one in self.lists) or bool(self.matchers)

    @property
    def healthy(self) -> bool:
        """True when at least one list or matcher can match something and every configured one can answer."""
        return self.active and not self.problems and self.banner is None

    @property
    def banner(self) -> str | None:
        """What must be said aloud where nothing is screened."""
        if self.problems or self.matchers:
            return None
        if not self.active:
            return BANNER
        return None if any(one.matched for one in self.lists) else IDLE

    @property
    def lacking(self) -> str:
        """Why it cannot answer where it must, or matches nothing although lists are loaded; empty where neither is."""
        if self.problems:
            return self.problems[0]
        if not self.active:
            return NONE if self.required else ""
        return NOTHING if self.banner == IDLE else ""

    @property
    def remedy(self) -> str:
        """What is to be done where it is `lacking`."""
        return BACK if self.lacking == NOTHING else REMEDY

    def summary(self) -> dict[str, object]:
        """What a release and `curate screening status` say: which lists, of whom, how large, how old."""
        told = [asdict(one) | {"corrupt": len(one.corrupt)} for one in self.lists]
        for one in told:
            for name in (*UNSAID, *(() if one["guessed"] else ("guessed",))):
                del one[name]
        return {
            "required": self.required,
            "healthy": self.healthy,
            "lists": told,
            "matchers": [{"name": name, "provider": one.provider} for name, one in self.matchers],
            "pdq_radius": pdq.RADIUS,
            "problems": list(self.problems or filter(None, [self.lacking])),
        }

    def admit(
        self, classes: frozenset[str | None], safe: Sequence[str], place: Callable[[str | None], str] = lambda _: ""
    ) -> None:
        """Say yes to fetching these classes, or raise GateError.

        `place` says where the sources name a class first.
        """
        risky = [one for one in sorted(classes, key=str) if one not in safe]
        if self.problems:
            raise GateError(f"screening: {self.problems[0]}; nothing is fetched; {REMEDY}")
        if risky and (not self.active or self.lacking):
            named = [f"{one or 'unlabelled'}{f' ({where})' if (where := place(one)) else ''}" for one in risky]
            why = self.lacking if self.active else "no list is loaded"
            raise GateError(
                f"screening: {why}, and the sources can yield {', '.join(named)}, which the taxonomy"
                f" does not call safe; nothing is fetched; {REMEDY}"
            )
        if self.required and self.active and self.lacking:
            raise GateError(f"screening: {self.lacking}; nothing is fetched; {self.remedy}")
        if self.required and not self.active:
            raise GateError(
                f"screening: {NONE}; nothing is fetched. Where every class is safe,"
                f" [screening] required = false is possible; {REMEDY}"
            )

    # -- asking ------------------------------------------------------------------------------------------------------

    def screen(self, items: Sequence[Digests], pictures: Sequence[Sequence[Pdq] | None]) -> list[Verdict]:
        """What is known of items with these digests, and these parts (None: no picture, so only digests count).

        Digests first, then PDQ of every part in eight orientations; what no list knows, the remote matchers are asked
        for.
        """
        verdicts = [Verdict(match=self._entries.exact(one.by_algorithm())) for one in items]
        open_ = [n for n, one in enumerate(verdicts) if one.match is None and pictures[n] is not None]
        for n in open_:
            verdicts[n] = self._judged(pictures[n] or ())
        for n, match in self._near([(n, pictures[n] or ()) for n in open_]):
            verdicts[n] = Verdict(match=match)
        if self.matchers:
            self._remote(items, pictures, verdicts)
        return verdicts

    def _judged(self, parts: Sequence[Pdq]) -> Verdict:
        """What is known before any list of PDQ hashes is asked."""
        main = next((part for part in parts if part.part == pdq.MAIN), None)
        if main is None and (self._entries.by_look or self.matchers):
            return Verdict(unavailable="its PDQ could not be made")
        return Verdict(exact_only=main is not None and main.quality < pdq.MIN_QUALITY)

    def _near(self, pictures: Sequence[tuple[int, Sequence[Pdq]]]) -> Iterator[tuple[int, Match]]:
        """The items of which a part is listed, with the entry that is nearest to it."""
        asked = [(n, one) for n, parts in pictures for one in parts if one.quality >= pdq.MIN_QUALITY]
        if not asked:
            return
        import numpy as np

        found = self._entries.near(np.stack([one.array for _, one in asked]))
        for at, match in sorted(found.items(), reverse=True):  # an item's first part has the last word
            n, one = asked[at]
            yield n, replace(match, part=one.part, quality=one.quality)

    def _remote(
        self, items: Sequence[Digests], pictures: Sequence[Sequence[Pdq] | None], verdicts: list[Verdict]
    ) -> None:
        """Ask the matchers for what no list knows; an unanswered query makes the verdict `unavailable`."""
        told = [
            n for n, one in enumerate(verdicts) if not one.match and not one.unavailable and pictures[n] is not None
        ]
        asked = [replace(items[n], pdq=_hexes(pictures[n] or ())) for n in told]
        for name, matcher in self.matchers if asked else ():
            try:
                answers = matcher.ask(asked)
            except CurateError as error:
                answers = [None] * len(asked)
                for n in told:
                    verdicts[n] = verdicts[n] if verdicts[n].match else Verdict(None, f"{name}: {error}", remote=True)
            for n, entry in zip(told, answers, strict=True):
                if entry is not None:
                    verdicts[n] = Verdict(match=Match(name, entry, "remote", matcher.provider, origin=name))

    # -- what is stored already --------------------------------------------------------------------------------------

    def known(self, digests: Mapping[str, Sequence[str]]) -> Iterator[tuple[int, Match]]:
        """The items, by number, whose digests (hex, by algorithm) are listed."""
        return self._entries.exact_all(digests)

    def near(self, hashes: "Bytes", quality: "Bytes") -> Iterator[tuple[int, Match]]:
        """The rows of uint8[n, 8, 32] that lie near a listed hash in any orientation, of pictures that say enough."""
        rows = (quality >= pdq.MIN_QUALITY).nonzero()[0]
        if not len(rows):
            return
        for n, match in self._entries.near(hashes[rows]).items():
            yield int(rows[n]), replace(match, quality=int(quality[rows[n]]))

    # -- the lists themselves ----------------------------------------------------------------------------------------

    @property
    def entries(self) -> Entries:
        """What the lists hold; not to be asked where there are `problems`: a list may be there in part."""
        return self._entries


def _hexes(parts: Sequence[Pdq]) -> tuple[str, ...]:
    """Every orientation of every part that says something, as hex."""
    good = [one.hashes for one in parts if one.quality >= pdq.MIN_QUALITY]
    return tuple(h[at : at + pdq.BYTES].hex() for h in good for at in range(0, len(h), pdq.BYTES))


# -- loading ---------------------------------------------------------------------------------------------------------


def load(  # what [screening] says
    lists: Sequence[tuple[str, HashList]], required: bool, max_age_days: float | None, stop_after: int,
    matchers: Sequence[tuple[str, Matcher]] = (), terms: Mapping[str, Terms] | None = None,
) -> Gate:  # fmt: skip
    """A gate over (name, list) and (name, matcher) pairs; what is wrong with them is kept as `problems`.

    `terms`: on which ones the lists are matched, by name.
    """
    entries, problems = Entries(), list[str]()
    for name, one in lists:
        try:
            entries.add(name, one, (terms or {}).get(name))
            _check_age(one, entries.lists[-1], max_age_days)
        except CurateError as error:
            problems.append(f"{name}: {error}")
    for check in (entries.build, _check_pdq, *(matcher.check for _, matcher in matchers)):
        try:
            if check != _check_pdq or lists or matchers:
                check()
        except CurateError as error:
            problems.append(str(error))
    return Gate(required, tuple(entries.lists), tuple(problems), stop_after, tuple(matchers), entries)


def _check_age(one: HashList, loaded: LoadedList, max_age_days: float | None) -> None:
    """Raise GateError for a list that is too old, and for one from the future: nobody knows how old that is."""
    now = datetime.now(UTC)
    for stamp, what in ((loaded.modified, "is dated"), (loaded.newest, "says that it is of")):
        if stamp and datetime.fromisoformat(stamp) > now + SKEW:
            raise GateError(f"{one.path.name} {what} {stamp}, which is in the future; its age is not known")
    age = (now - datetime.fromisoformat(loaded.modified)).total_seconds() / 86400
    if max_age_days is not None and age > max_age_days:
        raise GateError(f"{one.path.name} is {age:.0f} days old; [screening] max_age_days allows {max_age_days:g}")


def _check_pdq() -> None:
    """PDQ must be there, and tell two pictures apart: without it only exact copies would be found.

    What hashes (`curate.media.pdq`) checks itself where it is loaded, in each worker; this process may need none of it.
    """
    import numpy as np

    try:
        import pdqhash
    except ImportError as error:
        raise GateError("PDQ is missing (pdqhash cannot be imported); install it again") from error
    (one, quality), (other, _) = (pdqhash.compute(picture) for picture in pdq.probes())
    if quality < pdq.MIN_QUALITY or int(np.count_nonzero(one != other)) <= pdq.RADIUS:
        raise GateError("PDQ does not work here: it does not tell two pictures apart")
