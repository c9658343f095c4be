"""What a workspace holds as pandas DataFrames, a row a thing."""

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from curate.errors import UsageError
from curate.label import table
from curate.label.final import labels
from curate.label.flags import FAILED
from curate.store import eligibility
from curate.store.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

# Columns of `samples` that the catalog has, and where.
STORED = {
    "id": "s.id", "media_type": "s.media_type", "bytes": "s.bytes", "width": "s.width", "height": "s.height",
    "frames": "s.frames", "parent": "s.parent", "at_ms": "s.at_ms", "split": "m.split", "group": "m.grp",
    "survivor": "m.survivor", "url": "c.locator", "license": "n.license", "attribution": "n.attribution",
    "source": "o.plugin", "ref": "n.ref",
}  # fmt: skip
LABELLED = ("label", "probability", "label_source", "human_n", "withheld")
COLUMNS = (*STORED, *LABELLED, "path")
_OPERATORS = {
    ast.Eq: "=", ast.NotEq: "<>", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip
_FROM = """
FROM samples s LEFT JOIN members m ON m.sample = s.id
LEFT JOIN (SELECT sample, min(candidate) AS candidate FROM candidates WHERE sample IS NOT NULL GROUP BY sample) f
    ON f.sample = s.id
LEFT JOIN candidates c ON c.candidate = f.candidate
LEFT JOIN mentions n ON n.candidate = f.candidate
    AND (n.source, n.ref) = (SELECT source, ref FROM mentions WHERE candidate = f.candidate LIMIT 1)
LEFT JOIN sources o ON o.source = n.source
"""
_SHORT = "\nFROM samples s LEFT JOIN members m ON m.sample = s.id\n"


def samples(ws: Workspace, where: str | None = None, columns: Sequence[str] | None = None) -> "pd.DataFrame":
    """Stored samples by id, without those that are held back; raises UsageError for a column that there is not and a
    condition that cannot be read.

    `url` is where the sample was found first (a path for a local file), `withheld` why it may not be released whatever
    is said of it, `path` where its bytes lie.
    """
    wanted = list(COLUMNS if columns is None else columns)
    asked, rest = _pushed(where)
    needed = list(dict.fromkeys([*wanted, *_names(rest)]))
    if unknown := [name for name in needed if name not in COLUMNS]:
        raise UsageError(f"samples: no column '{unknown[0]}'; there are: {', '.join(COLUMNS)}")
    found = _stored(ws, [name for name in STORED if name in needed or name == "id"], asked)
    held = eligibility.inactive(ws.catalog)
    found = found[~found["id"].isin(held.keys())].reset_index(drop=True)
    if {*LABELLED} & {*needed}:
        found = _with_labels(ws, found)
    if "path" in needed:
        found["path"] = str(ws.blobs.root) + "/" + found["id"].str[:2] + "/" + found["id"]
    if rest is not None:
        found = _kept(found, rest)
    return found[wanted].reset_index(drop=True)


def _stored(ws: Workspace, names: Sequence[str], asked: Sequence[tuple[str, Any]]) -> "pd.DataFrame":
    origins = any(STORED[name][0] not in "sm" for name in names) or any(part[0] not in "sm" for part, _ in asked)
    condition = " AND ".join(part for part, _ in asked)
    sql = f"SELECT {', '.join(STORED[name] for name in names)} {_FROM if origins else _SHORT}"
    rows = ws.catalog.iterate_tuples(
        sql + (f" WHERE {condition}" if condition else "") + " ORDER BY s.id", [value for _, value in asked]
    )
    return _frame(rows, names)


def _frame(rows: Any, names: Sequence[str]) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame.from_records(list(rows), columns=list(names))


def _with_labels(ws: Workspace, found: "pd.DataFrame") -> "pd.DataFrame":
    import pandas as pd

    known = labels(ws, ws.config.taxonomy.first)
    each = [known.by_sample.get(one) for one in found["id"]]
    said = {
        "label": [one and one.name for one in each],
        "probability": [None if one is None else one.probability for one in each],
        "label_source": [one and one.source for one in each],
        "human_n": [0 if one is None else one.human_n for one in each],
    }
    return found.assign(**{name: pd.Series(values) for name, values in said.items()}).assign(
        withheld=found["id"].map(known.withheld)
    )


def _pushed(where: str | None) -> tuple[list[tuple[str, Any]], ast.expr | None]:
    """A condition as what the catalog can be asked (SQL with its value), and what is left of it."""
    if where is None:
        return [], None
    try:
        parsed = ast.parse(where.strip(), mode="eval").body
    except SyntaxError as error:
        raise UsageError(f"samples: where: {where}: {error.msg}") from error
    parts = parsed.values if isinstance(parsed, ast.BoolOp) and isinstance(parsed.op, ast.And) else [parsed]
    asked = [(part, _sql(part)) for part in parts]
    rest = [part for part, sql in asked if sql is None]
    left = ast.BoolOp(ast.And(), rest) if len(rest) > 1 else rest[0] if rest else None
    return [sql for _, sql in asked if sql is not None], left


def _sql(part: ast.expr) -> tuple[str, Any] | None:
    """`column == constant` as SQL, where the catalog has the column."""
    if not isinstance(part, ast.Compare) or len(part.ops) != 1:
        return None
    name, operator, value = part.left, _OPERATORS.get(type(part.ops[0])), part.comparators[0]
    if not (isinstance(name, ast.Name) and name.id in STORED and operator and isinstance(value, ast.Constant)):
        return None
    return (f"{STORED[name.id]} {operator} ?", value.value) if isinstance(value.value, str | int | float) else None


def _names(condition: ast.expr | None) -> list[str]:
    return [node.id for node in ast.walk(condition) if isinstance(node, ast.Name)] if condition is not None else []


def _kept(found: "pd.DataFrame", condition: ast.expr) -> "pd.DataFrame":
    try:
        return found.query(ast.unparse(condition), engine="python")
    except Exception as error:
        raise UsageError(f"samples: where: {ast.unparse(condition)}: {error}") from error


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
    """The report on labelling functions that `label` wrote, a row each."""
    import pandas as pd

    found = table.report(ws, _axis(ws, axis))
    return pd.DataFrame.from_records(found["functions"] if found else [])


def _axis(ws: Workspace, name: str | None) -> Any:
    for axis in ws.config.taxonomy.axes:
        if name in (None, axis.name):
            return axis
    raise UsageError(f"'{name}' is no axis; there are: {', '.join(one.name for one in ws.config.taxonomy.axes)}")
