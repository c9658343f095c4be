"""A condition in pandas' words: what of it the catalog can be asked, and what is left."""

import ast
import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curate.errors import UsageError
from curate.report import words

if TYPE_CHECKING:
    import pandas as pd

_OPERATORS = {
    ast.Eq: "=", ast.NotEq: "<>", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """`column operator constant`, the operator as SQL has it."""

    column: str
    operator: str
    value: str | int | float

    def sql(self, column: str) -> str:
        """The same of a column of the catalog; null is neither true nor false."""
        return f"{column} {self.operator} {self._literal()}"

    def _literal(self) -> str:
        if isinstance(self.value, str):
            return f"CAST(X'{self.value.encode().hex()}' AS TEXT)"
        if isinstance(self.value, float) and math.isinf(self.value):
            return "9e999"
        return str(int(self.value)) if isinstance(self.value, bool) else repr(self.value)


def parted(
    where: str | None, columns: Collection[str], certain: Collection[str]
) -> tuple[list[Comparison], ast.expr | None]:
    """The comparisons with these columns that a condition joins by `and`, and what is left of it; raises UsageError.

    `certain` are those that no row lacks a value of: elsewhere `!=` is so where there is none, which SQL denies.
    """
    if where is None:
        return [], None
    parsed = words.read(where)
    parts = parsed.values if isinstance(parsed, ast.BoolOp) and isinstance(parsed.op, ast.And) else [parsed]
    asked = [(part, _comparison(part, columns, certain)) for part in parts]
    rest = [part for part, found in asked if found is None]
    left = ast.BoolOp(ast.And(), rest) if len(rest) > 1 else rest[0] if rest else None
    return [found for _, found in asked if found is not None], left


def _comparison(part: ast.expr, columns: Collection[str], certain: Collection[str]) -> Comparison | None:
    if not isinstance(part, ast.Compare) or len(part.ops) != 1:
        return None
    name, operator, value = part.left, _OPERATORS.get(type(part.ops[0])), part.comparators[0]
    if not (isinstance(name, ast.Name) and name.id in columns and operator and isinstance(value, ast.Constant)):
        return None
    if operator == "<>" and name.id not in certain:
        return None
    try:
        str(value.value).encode()  # a lone surrogate, written as an escape
    except UnicodeEncodeError:
        return None
    return Comparison(name.id, operator, value.value) if isinstance(value.value, str | int | float) else None


def names(condition: ast.expr | None) -> list[str]:
    """The columns that a condition is about, each once."""
    found = ast.walk(condition) if condition is not None else ()
    return list(dict.fromkeys(node.id for node in found if isinstance(node, ast.Name)))


def kept(found: "pd.DataFrame", condition: ast.expr) -> "pd.Index":
    """The index of the rows of which a condition is true; raises UsageError for one that pandas cannot read."""
    try:
        says = found.eval(ast.unparse(condition), engine="python")
        if getattr(says, "dtype", None) != "bool":
            raise ValueError("it is no condition: it is neither true nor false of a row")
        index: pd.Index = found.index[says]  # type: ignore[index]
        return index
    except Exception as error:
        raise UsageError(f"samples: where: {ast.unparse(condition)}: {error}") from error
