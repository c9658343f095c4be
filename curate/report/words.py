"""What a condition may be made of: comparisons, arithmetic and a few tests of columns; nothing that does a thing."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator

from curate.errors import UsageError

LONGEST, DEEPEST = 10_000, 50  # characters; expressions within each other
MOST_BITS = 4096  # of a whole number: one written in hexadecimal may be too long for Python to write in decimal
_TESTS = {"isin", "isna", "notna", "isnull", "notnull", "between"}  # methods of a column
_OF_TEXT = {
    "contains", "startswith", "endswith", "match", "fullmatch", "len", "lower", "upper", "strip", "lstrip", "rstrip",
    "isdigit", "isalpha", "isalnum", "isnumeric",
}  # fmt: skip
_ASSIGNS = re.compile(r"(?<![=!<>])=(?!=)")
_CONNECT = (ast.And, ast.Or, ast.Not, ast.Invert, ast.UAdd, ast.USub)
_COMPARE = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn)
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod)
_PLAIN = (
    ast.BoolOp, ast.UnaryOp, ast.BinOp, ast.Compare, ast.Name, ast.Load, ast.List, ast.Tuple, *_CONNECT, *_COMPARE,
    *_ARITHMETIC,
)  # fmt: skip
_ANSWERS = (ast.BoolOp, ast.Compare, ast.Call, ast.Name, ast.UnaryOp, ast.BinOp)  # what can be true or false


def read(where: object) -> ast.expr:
    """A condition as an expression; raises UsageError, naming what in it may not be there."""
    if not isinstance(where, str):
        raise UsageError(f"samples: where: a condition is text, not {type(where).__name__}")
    if len(where) > LONGEST:
        raise UsageError(f"samples: where: {len(where):,} characters; {LONGEST:,} at most")
    try:
        where.encode()
        parsed = ast.parse(_joined(where.strip()), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        why = getattr(error, "msg", None) or str(error) or "too deep"
        if _ASSIGNS.search(where):
            why += "; equality is ==, as in label == 'neutral'"
        raise UsageError(f"samples: where: {where[:200]!a}: {why}") from error
    for node, depth in _walk(parsed):
        if depth > DEEPEST:
            raise UsageError(f"samples: where: more than {DEEPEST} expressions within each other")
        if isinstance(node, ast.Constant) and isinstance(node.value, int) and node.value.bit_length() > MOST_BITS:
            raise UsageError("samples: where: a number of that size cannot be meant")
        if (strange := _strange(node)) is not None:
            raise UsageError(
                f"samples: where: {strange!a} is not for conditions: comparisons, and, or, not, arithmetic, .isin,"
                " .isna, .str.contains and the like are"
            )
    if not isinstance(parsed, _ANSWERS):
        raise UsageError(f"samples: where: {where[:200]!a} is no condition: it is neither true nor false of a row")
    return parsed


def _joined(where: str) -> str:
    """The same with `and` for `&` and `or` for `|`, as pandas reads them: to Python they join before any comparison."""
    lines = io.StringIO(where).readlines()
    try:
        found = [one for one in tokenize.generate_tokens(io.StringIO(where).readline) if one.string in ("&", "|")]
    except tokenize.TokenError:  # a bracket or a text without its end: the parser says so in better words
        return where
    for one in reversed(found):
        (row, begin), (_, end) = one.start, one.end
        lines[row - 1] = f"{lines[row - 1][:begin]} {'and' if one.string == '&' else 'or'} {lines[row - 1][end:]}"
    return "".join(lines)


def _walk(parsed: ast.expr) -> Iterator[tuple[ast.AST, int]]:
    """Every part with its depth, those above first; of a call that may be there its object and its arguments alone."""
    waiting: list[tuple[ast.AST, int]] = [(parsed, 0)]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        if isinstance(node, ast.Call):
            parts: list[ast.AST] = [_object(node), *node.args, *(one.value for one in node.keywords)]
        else:
            parts = list(ast.iter_child_nodes(node))
        waiting += ((one, depth + 1) for one in parts)


def _object(call: ast.Call) -> ast.expr:
    """What a method is called of: `label` in `label.str.len()`."""
    assert isinstance(call.func, ast.Attribute)
    found = call.func.value
    return found.value if isinstance(found, ast.Attribute) else found


def _strange(node: ast.AST) -> str | None:
    """The words of a part that may not be there; None where it may."""
    if isinstance(node, ast.Call):
        return None if _called(node) else _words(node)
    if isinstance(node, ast.Constant):
        return None if isinstance(node.value, str | int | float | None) else _words(node)
    odd = isinstance(node, ast.BinOp) and not (isinstance(node.op, _ARITHMETIC) and not _text(node))
    return None if isinstance(node, _PLAIN) and not odd else _words(node)


def _text(node: ast.BinOp) -> bool:
    """Whether text is multiplied, or formatted: a few characters can ask for all memory."""
    return not isinstance(node.op, ast.Add) and any(
        isinstance(one, ast.Constant) and isinstance(one.value, str) for one in (node.left, node.right)
    )


def _called(node: ast.Call) -> bool:
    """Whether it is a test of a column."""
    if not isinstance(node.func, ast.Attribute) or any(one.arg is None for one in node.keywords):
        return False
    if not all(_constant(one) for one in (*node.args, *(one.value for one in node.keywords))):
        return False
    holder = node.func.value
    if isinstance(holder, ast.Attribute):
        return holder.attr == "str" and node.func.attr in _OF_TEXT
    return node.func.attr in _TESTS


def _constant(node: ast.expr) -> bool:
    """A value, or a list of values."""
    if isinstance(node, ast.List | ast.Tuple):
        return all(_constant(one) for one in node.elts)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return isinstance(node.operand, ast.Constant)
    return isinstance(node, ast.Constant)


def _words(node: ast.AST) -> str:
    """A part as it was written, else the name of its kind."""
    try:
        return ast.unparse(node)[:80] or type(node).__name__
    except (ValueError, RecursionError):
        return type(node).__name__
