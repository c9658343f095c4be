"""What a condition compares: numbers with numbers, text with text, one value with one. Anything else has an answer that
says nothing, most often no rows."""

import ast
from collections.abc import Collection, Sequence
from typing import TypeAlias

from curate.errors import UsageError
from curate.report import words

Kind: TypeAlias = str | None  # "a number", "text", "true or false"; None: not known
NUMBER, TEXT, TRUTH = "a number", "text", "true or false"
_METHODS = {"len": NUMBER, "lower": TEXT, "upper": TEXT, "strip": TEXT, "lstrip": TEXT, "rstrip": TEXT}  # else TRUTH
_ARGUMENTS = {"isin", "between"}  # what they are given is compared with the column


def compared(condition: str | None, numbers: Collection[str]) -> None:
    """Raise UsageError where a condition compares or joins what cannot be; `numbers`: the columns that are no text."""
    for part in ast.walk(words.read(condition)) if condition is not None else ():
        if isinstance(part, ast.Compare):
            sides = [part.left, *part.comparators]
            for left, operator, right in zip(sides, part.ops, sides[1:], strict=False):
                _compare(part, left, operator, right, numbers)
        elif isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr in _ARGUMENTS:
            given = [*part.args, *(one.value for one in part.keywords if one.arg in ("values", "left", "right"))]
            one_list = part.func.attr == "isin"
            for value in given[: 1 if one_list else 2]:
                _agree(part, part.func.value, _members(value) if one_list else [value], numbers)
        elif isinstance(part, ast.BoolOp):
            for one in part.values:
                if (kind := _kind(one, numbers)) in (NUMBER, TEXT):
                    raise _refused(one, f"it is no condition: it is {kind}, neither true nor false of a row")


def _compare(part: ast.Compare, left: ast.expr, operator: ast.cmpop, right: ast.expr, numbers: Collection[str]) -> None:
    if isinstance(left, ast.List | ast.Tuple):
        raise _refused(part, "a list stands to the right")
    among = isinstance(operator, ast.In | ast.NotIn)
    if among and not isinstance(right, ast.List | ast.Tuple):
        raise _refused(part, f"`in` asks for a list of values, as in {ast.unparse(left)} in ['a', 'b']")
    if isinstance(right, ast.List | ast.Tuple) and not (among or isinstance(operator, ast.Eq | ast.NotEq)):
        raise _refused(part, "a list is compared by `in` alone")
    if isinstance(left, ast.Constant) and not isinstance(right, ast.List | ast.Tuple):
        left, right = right, left  # what is said begins with the column
    _agree(part, left, _members(right), numbers)


def _agree(part: ast.expr, left: ast.expr, values: Sequence[ast.expr], numbers: Collection[str]) -> None:
    """Raise UsageError where one of the values is of another kind than what it is compared with."""
    mine = _kind(left, numbers)
    for value in values:
        kind = _kind(value, numbers)
        if mine is None or kind is None or kind == mine or TEXT not in (kind, mine):
            continue
        what = f"{ast.unparse(left)} is {mine}, not {_said(value, kind)}"
        if mine == TEXT and isinstance(value, ast.Constant):
            what += f"; say `{ast.unparse(left)} == 'text'`, or `survivor == id` for samples that survive"
        raise _refused(part, what)


def _said(value: ast.expr, kind: str) -> str:
    """A constant as it was written, anything else with its kind."""
    return ast.unparse(value) if isinstance(value, ast.Constant) else f"{kind} as {ast.unparse(value)} is"


def _members(value: ast.expr) -> Sequence[ast.expr]:
    return value.elts if isinstance(value, ast.List | ast.Tuple) else [value]


def _kind(part: ast.expr, numbers: Collection[str]) -> Kind:
    if isinstance(part, ast.Name):
        return NUMBER if part.id in numbers else TEXT
    if isinstance(part, ast.Constant):
        if isinstance(part.value, bool):
            return TRUTH
        return TEXT if isinstance(part.value, str) else NUMBER if isinstance(part.value, int | float) else None
    if isinstance(part, ast.BinOp):
        kinds = {_kind(part.left, numbers), _kind(part.right, numbers)}
        return kinds.pop() if len(kinds) == 1 else None
    if isinstance(part, ast.UnaryOp) and not isinstance(part.op, ast.Not | ast.Invert):
        return _kind(part.operand, numbers)
    if isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute):
        return _METHODS.get(part.func.attr, TRUTH)
    return None if isinstance(part, ast.List | ast.Tuple) else TRUTH


def _refused(part: ast.expr, why: str) -> UsageError:
    return UsageError(f"samples: where: {ast.unparse(part)[:200]}: {why}")
