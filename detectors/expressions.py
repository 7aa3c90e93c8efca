"""Expressions of a team's own rules: checked word by word when a policy is read, and handed to numexpr to compute.

The language is Python's for comparisons and arithmetic: `minors_24h >= 4 and account_age_days < 7`. A rule is parsed
here, every node of it is one of those below and has a type, and what goes to numexpr is written anew from that. So
nothing but columns, numbers and six functions ever reaches it: no attribute, no index, no text, no other call.
"""

from __future__ import annotations

import ast
import difflib
import math
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

__all__ = ["LONGEST", "Expression", "ExpressionError", "Kind", "read_expression"]

LONGEST: Final = 500
"""Characters of an expression, at most."""
MOST_NODES: Final = 120

Kind = Literal["number", "truth"]

_COMPARE: Final[dict[type[ast.cmpop], str]] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_ARITHMETIC: Final[dict[type[ast.operator], str]] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_LOGIC: Final[dict[type[ast.operator], str]] = {ast.BitAnd: "&", ast.BitOr: "|"}
_FUNCTIONS: Final = {
    "abs": "abs({0})",
    "log": "log({0})",
    "sqrt": "sqrt({0})",
    "exp": "exp({0})",
    "min": "where({0} < {1}, {0}, {1})",
    "max": "where({0} > {1}, {0}, {1})",
}


class ExpressionError(ValueError):
    """An expression that cannot be used; the message says why, in one line."""


class Expression(NamedTuple):
    """A checked expression.

    Attributes
    ----------
    text : str
        As it was written.
    compiled : str
        For numexpr.
    names : tuple of str
        The columns it reads, in order.
    """

    text: str
    compiled: str
    names: tuple[str, ...]


class _Part(NamedTuple):
    text: str
    kind: Kind


def read_expression(text: str, columns: Mapping[str, Kind]) -> Expression:
    """Check an expression that is true or false for a row.

    Parameters
    ----------
    text : str
    columns : mapping of str to Kind
        The names it may use.

    Raises
    ------
    ExpressionError
        If it is too long, is not of the language, has an unknown name, or is no yes or no.

    Examples
    --------
    >>> read_expression("a > 3 and not b", {"a": "number", "b": "truth"}).compiled
    '((a > 3.0) & (~b))'
    """
    if len(text) > LONGEST:
        raise ExpressionError(f"longer than {LONGEST} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as problem:
        why = problem.msg if isinstance(problem, SyntaxError) else "cannot be read"
        raise ExpressionError(f"not an expression: {why}") from None
    if sum(1 for _ in ast.walk(tree)) > MOST_NODES:
        raise ExpressionError("too many terms")
    reader = _Reader(columns)
    part = reader.read(tree)
    if part.kind != "truth":
        raise ExpressionError("is a number, not a yes or no: compare it with something")
    if not reader.names:
        raise ExpressionError("reads no column")
    if reader.alone:  # numexpr would compute it at once, to what is no column of yes and no
        raise ExpressionError(f"{reader.alone!r} compares numbers alone")
    return Expression(text, part.text, tuple(sorted(reader.names)))


class _Reader:
    """Reads one tree and notes the columns it names."""

    def __init__(self, columns: Mapping[str, Kind]) -> None:
        self.columns = columns
        self.names: set[str] = set()
        self.alone = ""
        """The first comparison that names no column."""

    def read(self, node: ast.expr) -> _Part:
        """Return a node in numexpr's words, with its type."""
        match node:
            case ast.Name(id=name):
                return self._name(name)
            case ast.Constant(value=bool(value)):
                raise ExpressionError(f"{value} is no number; name a column instead")
            case ast.Constant(value=int() | float() as value):
                return _Part(_number(value), "number")
            case ast.BoolOp(op=op, values=values):
                sign, word = ("&", "and") if isinstance(op, ast.And) else ("|", "or")
                parts = [self._truth(value, word) for value in values]
                return _Part(f"({f' {sign} '.join(parts)})", "truth")
            case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand):
                return _Part(f"(~{self._truth(operand, 'not')})", "truth")
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _Part(f"(-{self._number(operand, '-')})", "number")
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return _Part(self._number(operand, "+"), "number")
            case ast.BinOp(left=left, op=op, right=right):
                return self._binary(left, op, right)
            case ast.Compare(left=left, ops=ops, comparators=rights):
                return self._compare(left, ops, rights)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return self._call(name, args)
            case _:
                raise ExpressionError(f"{_words(node)} is not allowed")

    def _name(self, name: str) -> _Part:
        if name not in self.columns:
            raise ExpressionError(f"unknown name {name!r}{_near(name, self.columns)}")
        self.names.add(name)
        return _Part(name, self.columns[name])

    def _truth(self, node: ast.expr, word: str) -> str:
        part = self.read(node)
        if part.kind != "truth":
            raise ExpressionError(f"`{word}` wants a yes or no, and {ast.unparse(node)!r} is a number")
        return part.text

    def _number(self, node: ast.expr, word: str) -> str:
        part = self.read(node)
        if part.kind != "number":
            raise ExpressionError(f"`{word}` wants numbers, and {ast.unparse(node)!r} is a yes or no")
        return part.text

    def _binary(self, left: ast.expr, op: ast.operator, right: ast.expr) -> _Part:
        if sign := _LOGIC.get(type(op)):
            parts = self.read(left), self.read(right)
            if any(part.kind != "truth" for part in parts):
                # `a > 1 & b > 2` is a > (1 & b) > 2: say so rather than compute it
                word = "and" if sign == "&" else "or"
                raise ExpressionError(f"`{sign}` binds tighter than a comparison: write `{word}`, or brackets")
            return _Part(f"({parts[0].text} {sign} {parts[1].text})", "truth")
        if sign := _ARITHMETIC.get(type(op)):
            return _Part(f"({self._number(left, sign)} {sign} {self._number(right, sign)})", "number")
        raise ExpressionError(f"the operator of {ast.unparse(ast.BinOp(left, op, right))!r} is not allowed")

    def _compare(self, left: ast.expr, ops: list[ast.cmpop], rights: list[ast.expr]) -> _Part:
        parts = []
        for op, right in zip(ops, rights, strict=True):
            sign = _COMPARE.get(type(op))
            if sign is None:
                raise ExpressionError("`in` and `is` are not allowed")
            if not self._reads(left) and not self._reads(right):
                self.alone = self.alone or ast.unparse(ast.Compare(left, [op], [right]))
            parts.append(f"({self._number(left, sign)} {sign} {self._number(right, sign)})")
            left = right
        return _Part(parts[0] if len(parts) == 1 else f"({' & '.join(parts)})", "truth")

    def _reads(self, node: ast.expr) -> bool:
        return any(isinstance(part, ast.Name) and part.id in self.columns for part in ast.walk(node))

    def _call(self, name: str, args: list[ast.expr]) -> _Part:
        template = _FUNCTIONS.get(name)
        if template is None:
            raise ExpressionError(f"unknown function {name!r}; known are {', '.join(_FUNCTIONS)}")
        wanted = 2 if "{1}" in template else 1
        if len(args) != wanted or any(isinstance(arg, ast.Starred) for arg in args):
            raise ExpressionError(f"{name} takes {wanted} number{'s' * (wanted > 1)}")
        return _Part(f"({template.format(*(self._number(arg, name) for arg in args))})", "number")


def _number(value: float) -> str:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ExpressionError("a number is too large")
    return repr(number)


def _words(node: ast.AST) -> str:
    match node:
        case ast.Attribute(attr=name):
            return f"an attribute (.{name})"
        case ast.Constant(value=str() | bytes()):
            return "text"
        case ast.Subscript():
            return "an index"
        case ast.Call():
            return "a call with names or of something that is no name"
    return f"{type(node).__name__.lower()}"


def _near(name: str, columns: Mapping[str, Kind]) -> str:
    close = difflib.get_close_matches(name, columns, 1)
    return f"; did you mean {close[0]!r}?" if close else ""
