"""What a workspace holds as pandas DataFrames, a row a thing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from curate.contracts import Labeler
from curate.errors import UsageError
from curate.features.scores import by_name, read, samples
from curate.label import table
from curate.label.flags import FAILED
from curate.options import suggest, texts
from curate.store import eligibility
from curate.store.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

FUNCTION = (
    "name", "coverage", "overlap", "conflict", "accuracy", "interval", "gold", "false_alarms", "alone", "faults",
    "fault", "file", "remarks", "help",
)  # fmt: skip


def _frame(rows: Any, names: Sequence[str]) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame.from_records(list(rows), columns=list(names))


def failures(ws: Workspace) -> "pd.DataFrame":
    """Candidates that failed, in the order in which they were listed."""
    names = ("url", "host", "reason", "detail", "retryable", "attempts", "http_status", "fetched_at", "source", "ref")
    sql = """
    SELECT c.locator, c.host, c.reason, c.detail, c.retryable, c.attempts, c.http_status, c.fetched_at, o.plugin, n.ref
    FROM candidates c LEFT JOIN mentions n USING (candidate) LEFT JOIN sources o USING (source)
    WHERE c.state = 'failed' GROUP BY c.candidate ORDER BY c.candidate
    """
    return _frame(ws.catalog.iterate_tuples(sql), names).astype({"retryable": bool})


def duplicates(ws: Workspace) -> "pd.DataFrame":
    """Members of groups of two and more, as dedupe left them; `survivor` stands for its collapse set."""
    names = ("group", "id", "survivor", "collapse", "split", "excluded")
    sql = """
    SELECT grp, sample, survivor, collapse, split, excluded FROM members
    WHERE grp IN (SELECT grp FROM members GROUP BY grp HAVING count(*) > 1) ORDER BY grp, sample
    """
    return _frame(ws.catalog.iterate_tuples(sql), names)


def decisions(ws: Workspace) -> "pd.DataFrame":
    """People's decisions that stand, in the order in which they were made."""
    names = ("id", "axis", "taxonomy", "reviewer", "label", "decided_at", "shown", "seconds", "queue", "inclusion")
    sql = f"""
    SELECT sample, {", ".join(names[1:])} FROM decisions WHERE undoes IS NULL
    AND decision NOT IN (SELECT undoes FROM decisions WHERE undoes IS NOT NULL) ORDER BY decision
    """  # noqa: S608
    return _frame(ws.catalog.iterate_tuples(sql), names)


def votes(ws: Workspace, axis: str | None = None) -> "pd.DataFrame":
    """A row a sample (index: id), a column a labelling function: the class that it voted for ("a|b": one of
    these), "failed", or None where it abstained."""
    import pandas as pd

    weak = table.read(ws, _axis(ws, axis))
    if weak is None:
        return pd.DataFrame(index=pd.Index([], name="id"))
    words = dict(enumerate("|".join(one) for one in weak.sets)) | {FAILED: "failed"}
    columns = {
        name: [words.get(vote) for vote in weak.votes[:, column].tolist()] for column, name in enumerate(weak.functions)
    }
    return pd.DataFrame(columns, index=pd.Index(weak.ids, name="id"))


def functions(ws: Workspace, axis: str | None = None) -> "pd.DataFrame":
    """The report on labelling functions that `label` wrote, a row each; NaN or None where there is nothing to say."""
    import pandas as pd

    found = table.report(ws, _axis(ws, axis))
    rows = found["functions"] if found else []
    more = sorted({name for row in rows for name in row} - set(FUNCTION))  # of another version
    names = [*FUNCTION, *more]
    frame = pd.DataFrame.from_records([dict.fromkeys(names) | row for row in rows], columns=names)
    texts = frame[["fault", "file", "help"]].astype(object)  # pandas' own text would have NaN among words
    return frame.assign(**texts.where(texts.notna(), None))


def scores(
    ws: Workspace, labelers: Sequence[Labeler], labeler: str | None = None, columns: str | Sequence[str] | None = None
) -> "pd.DataFrame":
    """What labelers say of stored samples, by id, without those that are held back: `id`, and `<labeler>_<column>` of
    each column that is one value; NaN or None where there is none.

    `labeler`: of this one alone; `columns`: only these, vectors too, which are arrays in a row. Raises UsageError for
    one that is not configured.
    """
    import pandas as pd

    named = by_name(labelers)
    if labeler is not None and labeler not in named:
        raise UsageError(f"scores: no labeler '{labeler}'; {suggest(str(labeler), list(named))}")
    some = {name: one for name, one in named.items() if labeler in (None, name)}
    kinds = {f"{name}_{column}": kind for name, one in some.items() for column, kind in one.columns.items()}
    wanted = [name for name, kind in kinds.items() if "[" not in kind] if columns is None else texts(columns)
    if strange := [name for name in wanted if name not in kinds]:
        raise UsageError(f"scores: no column '{strange[0]}'; {suggest(str(strange[0]), list(kinds))}")
    held = eligibility.inactive(ws.catalog)
    ids = [one for one in samples(ws) if one not in held]
    known: dict[str, Any] = {}
    for name, one in some.items():
        if any(f"{name}_{column}" in wanted for column in one.columns):
            known |= {f"{name}_{column}": values for column, values in read(ws, one, ids).items()}
    return pd.DataFrame(
        {"id": ids} | {name: known[name] if known[name].ndim == 1 else [*known[name]] for name in wanted}
    )


def _axis(ws: Workspace, name: str | None) -> Any:
    for axis in ws.config.taxonomy.axes:
        if name in (None, axis.name):
            return axis
    raise UsageError(f"'{name}' is no axis; there are: {', '.join(one.name for one in ws.config.taxonomy.axes)}")
