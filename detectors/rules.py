"""`rules`: what a team writes itself, in the policy file, over the columns of a row (`detectors.columns`).

Statistics
----------
None: a rule is a limit, and holds or does not. Its flag ranks by the account's whole evidence, and no lower than
others of the severity that the policy gives the rule. It adds nothing to anybody's evidence.

Assumptions
-----------
The team's. A rule can be tried in shadow and by `kithwatch backtest` before it goes live.

Source
------
The language is computed by numexpr, over a whole table of rows at once; `detectors.expressions` has what it can say.

What evades it
--------------
Whoever learns of the limit.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numexpr
import numpy as np
from numpy.typing import NDArray

from detectors.columns import LISTED, columns_of, value_of, vocabulary
from detectors.expressions import Expression, ExpressionError, read_expression
from detectors.judge import Judged
from detectors.lists import Lists
from detectors.policy import SEVERITIES, Policy, PolicyError
from detectors.words import listing, number
from graph.state import CONTACT

__all__ = ["PREFIX", "Hit", "Rules", "check_rules"]

PREFIX: Final = "rules."
"""Before a rule's name, where a flag names its detector."""

numexpr.set_num_threads(1)  # a table is small, and the cores belong to the shards


class Hit(NamedTuple):
    """One row for which a rule holds."""

    row: int
    detector: str
    level: int
    shadow: bool


class _Rule:
    """One rule, compiled."""

    def __init__(self, name: str, expression: Expression, level: int, shadow: bool, text: str) -> None:
        self.detector = PREFIX + name
        self.expression = expression
        self.level = level
        self.shadow = shadow
        self.text = text
        kinds = vocabulary(tuple(n.removeprefix(LISTED) for n in expression.names if n.startswith(LISTED)))
        types = [(name, np.float64 if kinds[name] == "number" else bool) for name in expression.names]
        try:
            with np.errstate(divide="raise", invalid="raise"):
                self.run = numexpr.NumExpr(expression.compiled, types)
        except (ZeroDivisionError, FloatingPointError):  # what is of numbers alone is computed at once
            raise ExpressionError("divides by zero") from None


class Rules:
    """The rules of a policy.

    Parameters
    ----------
    policy : Policy
        As `detectors.policy.load_policy` gives it, checked.
    lists : Lists
    """

    def __init__(self, policy: Policy, lists: Lists) -> None:
        self.lists = lists
        known = vocabulary(tuple(policy.lists))
        self._rules = {
            PREFIX + name: _Rule(
                name, read_expression(rule.when, known), SEVERITIES.index(rule.severity), rule.shadow, rule.text
            )
            for name, rule in policy.rules.items()
            if rule.enabled
        }
        self._columns: dict[str, NDArray[Any]] = {}
        self._names = tuple(sorted({name for rule in self._rules.values() for name in rule.expression.names}))

    def __len__(self) -> int:
        return len(self._rules)

    def find(self, table: NDArray[np.void], judged: Judged) -> list[Hit]:
        """Return the rows for which rules hold, in order of rows and, in each, of the policy.

        A row counts that is about something the account did, or that was done about it; not that of an erased account.
        """
        columns = self._columns = columns_of(self._names, table, judged, self.lists)
        counts = (table["flags"] & CONTACT) != 0
        hits = []
        with np.errstate(all="ignore"):
            for rule in self._rules.values():
                holds = rule.run(*(columns[name] for name in rule.expression.names)) & counts
                hits += [Hit(i, rule.detector, rule.level, rule.shadow) for i in np.flatnonzero(holds).tolist()]
        return sorted(hits, key=lambda hit: hit.row) if len(self._rules) > 1 else hits

    def values(self, detector: str, i: int) -> dict[str, float]:
        """Return what a rule read in row `i` of the table that was asked for last; what was not known is left out."""
        found = {name: value_of(self._columns[name], i) for name in self._rules[detector].expression.names}
        return {name: value for name, value in found.items() if value is not None}

    def explain(self, detector: str, values: dict[str, float]) -> tuple[str, str]:
        """Return explanation and counterfactual, one sentence each."""
        rule = self._rules[detector]
        what = listing([f"{name} {number(value)}" for name, value in values.items()])
        said = f"{rule.text}: " if rule.text else ""
        name = detector.removeprefix(PREFIX)
        return (
            f"{said}The team's rule {name} holds ({rule.expression.text.strip()}), with {what}.",
            f"Would not have been raised if the rule {name} had not held.",
        )


def check_rules(policy: Policy) -> None:
    """Check the rules of a policy.

    Raises
    ------
    PolicyError
        If one cannot be used: which, and why.
    """
    known: Any = vocabulary(tuple(policy.lists))
    for name, rule in policy.rules.items():
        try:
            expression = read_expression(rule.when, known)
            _Rule(name, expression, 0, False, "")
        except ExpressionError as problem:
            raise PolicyError(f"rules.{name}.when: {problem}") from None
