"""Tiers that a user does not leave for a moment: thresholds of a balance or a score that are wider on the way out.

A user who is in a tier by its own rule stays in it while the rule holds with each threshold t of a variable moved by
h |t|: "balance < t" by t + h |t|, "score >= t" by t - h |t|. A higher tier is entered on the day on which its own rule
holds. Nothing is remembered beyond an activity, nor once a user has left: then the own rules decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, did_you_mean
from churnsurv.notes import note
from churnsurv.tables.said import said_list, said_rule, said_variable
from churnsurv.warning.given_score import SCORE
from churnsurv.warning.rules import IDLE_DAYS, Condition, Rule

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.warning.scheme import TierScheme

__all__ = [
    "check_hysteresis",
    "check_widths",
    "entered_tiers",
    "hysteresis_notes",
    "said_widths",
    "stays_in",
    "wider",
    "wider_rules",
]

Flags: TypeAlias = NDArray[np.bool_]
Table: TypeAlias = "pd.DataFrame | Mapping[str, Sequence[float] | NDArray[np.float64]]"

BALANCE = "balance"


# -------------------------------------------------------------------------------------------------------- checking


def check_widths(hysteresis: Mapping[str, float] | None) -> dict[str, float]:
    """The relative widths by the names given, whatever the scheme; none for None.

    Raises
    ------
    InputError
        If it is no mapping, or a width is not a number above 0 and below 1.

    Examples
    --------
    >>> check_widths({"balance": 0.1})
    {'balance': 0.1}
    """
    if hysteresis is None:
        return {}
    if not isinstance(hysteresis, Mapping):
        raise InputError(
            f'hysteresis is a dict of relative widths by variable, such as {{"balance": 0.1}}; it is {hysteresis!r}.'
        )
    for name, width in hysteresis.items():
        if not isinstance(name, str):
            raise InputError(f"hysteresis: a name of a variable is text; {name!r} is not.")
        number = isinstance(width, (int, float, np.integer, np.floating)) and not isinstance(width, bool)
        if not number or not 0 < float(width) < 1:
            raise InputError(
                f"hysteresis[{name!r}] is a share of the threshold above 0 and below 1, 0.1 being a tenth of it; it is "
                f"{width!r}."
            )
    return {name: float(width) for name, width in hysteresis.items()}


def check_hysteresis(hysteresis: Mapping[str, float] | None, scheme: TierScheme) -> dict[str, float]:
    """The relative widths by what the rules of a scheme compare.

    Parameters
    ----------
    hysteresis : Mapping of str to float, or None
        Keys are "balance" where the rules of a scheme may look at it; "score" of a score that is given; of a Cox score
        "P(churn)" and the names of its values, for all of which "score" stands, too. A name of its own goes first.
    scheme : TierScheme

    Returns
    -------
    dict of str to float
        Sorted by name; empty without hysteresis.

    Raises
    ------
    InputError
        If another variable is named, with the reason; or as `check_widths` does.
    """
    widths = check_widths(hysteresis)
    if scheme.score is None:
        may = tuple(name for name in _names(scheme) if name == BALANCE)
    else:
        may = tuple(scheme.score.names)
    for name in widths:
        if name not in may and (name != SCORE or scheme.score is None):
            raise InputError(_refused(name, may, scheme))
    whole = dict.fromkeys(may, widths[SCORE]) if SCORE in widths else {}
    found = whole | {name: width for name, width in widths.items() if name in may}
    return dict(sorted(found.items()))


def _names(scheme: TierScheme) -> list[str]:
    return [each if isinstance(each, str) else each.name for each in scheme.variables]


def _refused(name: str, may: Sequence[str], scheme: TierScheme) -> str:
    """Why a variable can have no hysteresis here."""
    known = (*may, SCORE) if scheme.score is not None and SCORE not in may else tuple(may)
    have = f"Here it can be given for {', '.join(known)}." if known else "No rule of this scheme can have one."
    if name == IDLE_DAYS:
        why = "they only grow in silence and begin anew at an activity, so that nobody goes to and fro at a threshold."
    elif name == BALANCE and scheme.score is None:
        why = f"it is not among the variables of the scheme ({', '.join(_names(scheme)) or 'there are none'})."
    elif scheme.score is not None and name in (BALANCE, *_names(scheme), *scheme.score.variables):
        why = "the rules compare the score, not what it is made of."
    elif name == SCORE:
        why = "the tiers of this scheme are rules, not cuts of a score."
    elif name in _names(scheme):
        why = (
            "only a balance and a score go up and down while a user is silent. Other variables change by what a user "
            "did, or for good: a change of them is news, and is acted on."
        )
    else:
        return f"hysteresis: the rules compare no {name!r}.{did_you_mean(name, known)} {have}"
    return f"hysteresis: {name!r} can have none: {why} {have}"


# ---------------------------------------------------------------------------------------------------------- widening


def wider(rule: Rule, widths: Mapping[str, float]) -> Rule:
    """The rule with the thresholds of some variables moved, so that it holds more often.

    Parameters
    ----------
    rule : Rule
    widths : Mapping of str to float
        Relative width by variable: "<" and "<=" t become t + h |t|, ">" and ">=" t become t - h |t|.

    Examples
    --------
    >>> from churnsurv.warning.rules import Condition
    >>> rule = Rule([[Condition("idle_days", ">", 15), Condition("balance", "<", 100)]])
    >>> str(wider(rule, {"balance": 0.25}))
    'idle_days > 15 and balance < 125'
    """
    return Rule(tuple(tuple(_wider(each, widths) for each in conditions) for conditions in rule.alternatives))


def _wider(condition: Condition, widths: Mapping[str, float]) -> Condition:
    if condition.variable not in widths:
        return condition
    by = widths[condition.variable] * abs(condition.threshold)
    return replace(condition, threshold=condition.threshold + (by if condition.sign in ("<", "<=") else -by))


def wider_rules(scheme: TierScheme, widths: Mapping[str, float]) -> list[Rule]:
    """The rules by which users stay in the tiers of a scheme, highest first; `widths` as `check_hysteresis` gives."""
    return [wider(tier.rule, widths) for tier in scheme.tiers]


def entered_tiers(rules: Sequence[Rule], table: Table) -> NDArray[np.int8]:
    """Place of the highest rule that holds for each row, as many as there are rules for none; shape (n,).

    Parameters
    ----------
    rules : sequence of Rule
        Highest first.
    table : DataFrame or Mapping of str to (n,) float64
        With what the rules look at; `missing` of the scheme filled in.
    """
    found = np.full(_length(table), len(rules), dtype=np.int8)
    for place in reversed(range(len(rules))):
        found[rules[place].holds(table)] = place  # type: ignore[arg-type]
    return found


def stays_in(rules: Sequence[Rule], table: Table) -> Flags:
    """Whether each of the wider rules holds for each row; shape (n_tiers, n), as `held_on` takes it."""
    found = np.zeros((len(rules), _length(table)), dtype=np.bool_)
    for place, each in enumerate(rules):
        found[place] = each.holds(table)  # type: ignore[arg-type]
    return found


def _length(table: Table) -> int:
    return len(table) if hasattr(table, "columns") else len(next(iter(table.values()), ()))


# ------------------------------------------------------------------------------------------------------------- words


def hysteresis_notes(scheme: TierScheme, widths: Mapping[str, float]) -> list[str]:
    """What hysteresis does to the tiers of a scheme, in sentences; none without it."""
    if not widths:
        return []
    named = said_widths(widths)
    moved = [(tier.name, rule) for tier in scheme.tiers if (rule := wider(tier.rule, widths)) != tier.rule]
    kept = note("it moves no threshold of these tiers.")
    if moved:
        said = [note("{tier} while {rule}", tier=name, rule=said_rule(str(rule))) for name, rule in moved]
        ways = said[0]
        for each in said[1:]:
            ways = note("{some}; {others}", some=ways, others=each)
        kept = note("up to the next activity a user stays in {ways}. A higher tier is entered at once.", ways=ways)
    notes: list[str] = [note("Hysteresis ({widths}): {kept}", widths=named, kept=kept)]
    still = dict.fromkeys(str(each) for each in _compared(scheme, widths) if each.threshold == 0)
    if still:
        told = said_list(said_rule(each) for each in still)
        notes.append(note("A share of a threshold of 0 is 0: {conditions} is as wide as without it.", conditions=told))
    return notes


def said_widths(widths: Mapping[str, float]) -> str:
    """How wide hysteresis is, by variable."""
    return said_list(
        note("{variable} {width}", variable=said_variable(name), width=f"{width:.12g}")
        for name, width in widths.items()
    )


def _compared(scheme: TierScheme, widths: Mapping[str, float]) -> Iterator[Condition]:
    for tier in scheme.tiers:
        for conditions in tier.rule.alternatives:
            yield from (each for each in conditions if each.variable in widths)
