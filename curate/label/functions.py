"""Labelling functions: where they come from, what they vote, and how they fare beside each other and beside people."""

import copy
import importlib.util
import inspect
import operator
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.contracts import Labeler, Resources
from curate.engine.serial import Serial
from curate.errors import UsageError, described
from curate.label.flags import ABSTAIN, FAILED
from curate.layouts.table import plain
from curate.options import suggest
from curate.plugins import kind_of, name_of, own_file_of, running
from curate.policy import trust
from curate.records import Axis
from curate.stats.coverage import Coverage
from curate.store.mentions import PART

if TYPE_CHECKING:
    import numpy as np
    from snorkel.labeling import LabelingFunction

    from curate.progress import Step

OURS = ("curate", "labelers")  # packages
LONGEST = 100  # characters of a function's name
Functions = Callable[[Axis, Collection[str]], Sequence["LabelingFunction"]]


@dataclass
class Votes:
    """int8[n, m], places in `sets`, or ABSTAIN or FAILED; `sets` is bool[s, k], the classes one by one, then every set
    of more that a function can vote for; and the faults of each: how many rows it failed on, and the first why.

    A function that raises, or answers what it cannot mean, FAILED on that row: it casts no vote, and no machine calls
    the row safe (`curate.label.flags`).
    """

    names: tuple[str, ...]
    matrix: "np.ndarray"
    sets: "np.ndarray"
    faults: dict[str, tuple[int, str]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)  # where each function is, as far as that is known
    classes: Sequence[str] = ()  # of the axis, k
    built_in: Collection[str] = ()  # functions that nobody here wrote: they cannot be mended, nor dropped one by one

    def mend(self, name: str) -> str:
        """What helps where a function fails."""
        return mend(name, self.files.get(name))


def mend(name: str, file: str | None) -> str:
    """What to do about a labelling function that fails."""
    return f"mend {name}{f' in {file}' if file else ''}"


def _file(function: "LabelingFunction") -> str | None:
    code = getattr(inspect.unwrap(function._f), "__code__", None)
    return code.co_filename if code is not None else None


def functions_of(labelers: Sequence[Labeler]) -> Functions:
    """The labelling functions that sit beside labelers: `functions(axis, columns)` of the labeler, whose votes then
    depend on its options, or in its file; if any.

    Those of a labeler whose table names it vote by its columns, and bear its name before their own.
    """
    found = [
        (one, getattr(one, "functions", None) or getattr(sys.modules[type(one).__module__], "functions", None))
        for one in labelers
    ]

    def functions(axis: Axis, columns: Collection[str]) -> Sequence["LabelingFunction"]:
        return [one for labeler, make in found if make is not None for one in _beside(labeler, make, axis, columns)]

    return functions


def _beside(labeler: Labeler, make: Functions, axis: Axis, columns: Collection[str]) -> Sequence["LabelingFunction"]:
    from snorkel.labeling import LabelingFunction

    name, kind = name_of(labeler), kind_of(labeler)
    own = {f"{kind}_{column}": f"{name}_{column}" for column in labeler.columns} if name != kind else {}
    where, file = f"labelers.{name}", str(sys.modules[type(labeler).__module__].__file__)
    with running(where, file):
        found = list(make(axis, frozenset(columns) | own.keys()))
    if strange := [one for one in found if not isinstance(one, LabelingFunction)]:
        raise UsageError(f"{where}: {file}: functions() gives {strange[0]!r:.60}, which is no Snorkel LabelingFunction")
    found = [_by_name(one, name, own) for one in found] if own else found
    for one in found:
        one.built_in = own_file_of(labeler) is None
    return found


def _by_name(function: "LabelingFunction", name: str, own: Mapping[str, str]) -> "LabelingFunction":
    """The function, asked about a row in which the columns that it knows are those that they are called here."""
    from snorkel.labeling import LabelingFunction

    def asked(x: Any) -> Any:
        row = copy.copy(x)
        for known, here in own.items():
            setattr(row, known, getattr(x, here))
        return function(row)

    made = LabelingFunction(f"{name}_{function.name}", asked)
    if hasattr(function, "sets"):
        made.sets = function.sets
    if over := getattr(function, "over", None):
        made.over = lambda columns: over({**columns, **{known: columns[here] for known, here in own.items()}})
    return made


def own(paths: Sequence[Path], axes: Sequence[Axis]) -> dict[str, list["LabelingFunction"]]:
    """The functions in a user's Python files, by axis: the first one, or what the file's `AXIS` names.

    Every module-level Snorkel `LabelingFunction` counts; its answers are places in the axis's `classes`, or in its own
    `sets`, where it has them. Slicing functions are among them (`curate.label.slices`). Raises UsageError naming a file
    that is missing, cannot be run (with the line, where its syntax is wrong), or has none.
    """
    found: dict[str, list[LabelingFunction]] = {axis.name: [] for axis in axes}
    for path in paths:
        if not path.exists():
            raise UsageError(f"label.functions: {path}: no such file")
        trust.check(path)
        plain(path)
    for path, module in Serial().map(_Run(), paths, Resources(side=0)):
        if isinstance(module, SyntaxError) and module.filename == str(path):
            raise UsageError(f"label.functions: {path}:{module.lineno}: {module.msg}") from module
        if isinstance(module, Exception):
            raise UsageError(f"label.functions: {path}: {described(module)}") from module
        axis, functions = module.get("AXIS", axes[0].name), _labelling(module)
        if axis not in found:
            raise UsageError(f"label.functions: {path}: AXIS: no such axis '{axis}'; {suggest(str(axis), list(found))}")
        if not functions:
            raise UsageError(f"label.functions: {path}: no @labeling_function() or @slicing_function() in it")
        found[axis] += functions
    return found


class _Staying:
    def __enter__(self) -> None:
        """Nothing to set out."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is not None and not isinstance(error, (Exception, KeyboardInterrupt)):
            raise RuntimeError(f"it raised {type(error).__name__}") from error


staying = _Staying()  # what a user's code does to end the process is that code's fault, and ends nothing


class _Run:
    """Runs a Python file and gives its names."""

    def load(self) -> None:
        """Nothing to load."""

    def __call__(self, item: Path) -> dict[str, Any]:
        spec = importlib.util.spec_from_file_location(f"curate_functions_{item.stem}", item)
        if spec is None or spec.loader is None:
            raise ImportError("not a Python file (its name must end in .py)")
        module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        with staying:
            spec.loader.exec_module(module)
        return vars(module)


def _labelling(names: Mapping[str, Any]) -> list["LabelingFunction"]:
    from snorkel.labeling import LabelingFunction

    return list({id(one): one for one in names.values() if isinstance(one, LabelingFunction)}.values())


def unique(functions: Sequence["LabelingFunction"]) -> Sequence["LabelingFunction"]:
    """The functions, sorted by name; raises UsageError for one name of two, and one that cannot be shown."""
    names = [one.name for one in functions]
    for name in names:
        if not (isinstance(name, str) and name.strip() and name.isprintable() and len(name) <= LONGEST):
            raise UsageError(
                f"label.functions: a labelling function is called {name!r:.80}: a name is of 1 to {LONGEST} characters"
                " that can be printed"
            )
        if names.count(name) > 1:
            raise UsageError(f"label.functions: two labelling functions are called '{name}'; rename one of them")
    return sorted(functions, key=lambda one: str(one.name))


# -- what an answer means --------------------------------------------------------------------------------------------


def meanings(function: "LabelingFunction", axis: Axis) -> Sequence[frozenset[str]]:
    """The classes that each answer 0, 1, ... of a function stands for: its `sets`, else the axis's classes one by one.

    `sets` is a tuple with a class, or a tuple of classes, for each answer. Raises UsageError for a class that the axis
    has not, and for a set of none or of all classes, which would say nothing.
    """
    said = getattr(function, "sets", None)
    if said is None:
        return [frozenset({name}) for name in axis.classes]
    where = f"label.functions: {function.name}.sets"
    try:
        found = [frozenset({one} if isinstance(one, str) else one) for one in said]
    except TypeError as error:
        raise UsageError(f"{where}: give a tuple with a class, or a tuple of classes, for each answer") from error
    for answer, classes in enumerate(found):
        if strange := sorted(map(str, classes - set(axis.classes))):
            raise UsageError(f"{where}[{answer}]: no such class '{strange[0]}'; {suggest(strange[0], axis.classes)}")
        if len(classes) in (0, len(axis.classes)):
            what = "all classes" if classes else "no class"
            raise UsageError(f"{where}[{answer}]: {what}, which says nothing; let the function answer -1 to abstain")
    return found


def _coded(functions: Sequence["LabelingFunction"], axis: Axis) -> tuple["np.ndarray", list[list[int]]]:
    """The sets of an axis, bool[s, k], and of each function the place of what each of its answers means."""
    import numpy as np

    meant = [meanings(function, axis) for function in functions]
    several = {classes for each in meant for classes in each if len(classes) > 1}
    whole = [frozenset({name}) for name in axis.classes] + sorted(several, key=sorted)
    if len(whole) > np.iinfo(np.int8).max:
        raise UsageError(f"label.functions: {len(whole)} classes and sets of classes on axis {axis.name}; 127 at most")
    at = {classes: place for place, classes in enumerate(whole)}
    sets = np.array([[name in classes for name in axis.classes] for classes in whole], dtype=bool)
    return sets, [[at[classes] for classes in each] for each in meant]


# -- votes -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Ask:
    function: Callable[[Any], Any]
    places: Sequence[int]

    def load(self) -> None:
        """Nothing to load."""

    def __call__(self, item: Any) -> int:
        with staying:
            said = self.function(item)
        if isinstance(said, (bool, str)):
            raise TypeError(f"{said!r} is no answer: a class's place in the axis's classes, or -1")
        answer = operator.index(said)
        if not ABSTAIN <= answer < len(self.places):
            raise ValueError(f"{answer} is neither -1 nor one of its {len(self.places)} answers' places")
        return ABSTAIN if answer == ABSTAIN else self.places[answer]


def check(functions: Sequence["LabelingFunction"], axis: Axis) -> None:
    """Raise UsageError where the functions cannot vote on the axis together."""
    _coded(functions, axis)


def vote(
    functions: Sequence["LabelingFunction"], axis: Axis, rows: Callable[[int, int], Sequence[Any]], n: int, step: "Step"
) -> Votes:
    """Ask every function about every row; `rows(start, stop)` gives some of the `n`."""
    import numpy as np

    sets, places = _coded(functions, axis)
    matrix = np.full((n, len(functions)), ABSTAIN, dtype=np.int8)
    files = {one.name: path for one in functions if (path := _file(one)) is not None}
    built_in = frozenset(one.name for one in functions if getattr(one, "built_in", False))
    votes = Votes(tuple(one.name for one in functions), matrix, sets, {}, files, axis.classes, built_in)
    for start in range(0, n, PART):
        part = rows(start, min(start + PART, n))
        for column, function in enumerate(functions):
            votes.matrix[start : start + len(part), column] = _answers(votes, function, places[column], part)
        step(len(part))
    return votes


def _answers(votes: Votes, function: "LabelingFunction", places: Sequence[int], part: Sequence[Any]) -> Sequence[int]:
    """What one function answers of some rows, as places in `sets`."""
    if (found := _at_once(function, places, getattr(part, "columns", None))) is not None:
        return found
    ask, answers = _Ask(function, places), list[int]()
    for row in part:
        try:
            answers.append(ask(row))
        except Exception as error:  # noqa: BLE001 (whatever it is, it is the function's, and of one row)
            _blame(votes, function.name, error)
            answers.append(FAILED)
    return answers


def _at_once(
    function: "LabelingFunction", places: Sequence[int], columns: Mapping[str, Any] | None
) -> Sequence[int] | None:
    """What a function that has `over(columns)`, int[n] for columns of n rows, answers; None of another one, and where
    that fails or is no answer: then it is asked row by row, and each row that it fails on is known."""
    import numpy as np

    over = getattr(function, "over", None)
    if over is None or columns is None:
        return None
    try:
        with staying:
            found = np.asarray(over(columns))
    except Exception:  # noqa: BLE001 (whatever it is, it is said of the row that it happens on)
        return None
    n = len(next(iter(columns.values())))
    if (
        found.shape != (n,)
        or found.dtype.kind not in "iu"
        or (n and not -1 <= found.min() <= found.max() < len(places))
    ):
        return None
    means: Sequence[int] = np.array([*places, ABSTAIN], dtype=np.int8)[found]  # -1 is the last place
    return means


def unseen(votes: Votes, rows: "np.ndarray") -> Votes:
    """The same, where a labeler could not look at some `rows` bool[n]: who abstains there did so for want of it."""
    import numpy as np

    return replace(votes, matrix=np.where(rows[:, None] & (votes.matrix == ABSTAIN), np.int8(FAILED), votes.matrix))


def failing(votes: Votes) -> Iterator[str]:
    """The functions that could not look at more than 5 % of the rows, each with why."""
    for name, (count, first) in votes.faults.items():
        said = Coverage(
            len(votes.matrix) - count, len(votes.matrix), "samples", f"made {name} fail, first with {first}"
        )
        if said.short:
            yield f"labelling function {name}: {said.short}; {votes.mend(name)}, then `curate label`"


def _blame(votes: Votes, name: str, error: Exception) -> None:
    count, first = votes.faults.get(name, (0, described(error)))
    votes.faults[name] = count + 1, first
