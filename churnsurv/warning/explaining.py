"""Why a user is in a warning tier, condition by condition, and in words for whoever makes the call."""

from __future__ import annotations

import bisect
import datetime
import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from churnsurv.errors import InputError
from churnsurv.tables import Result
from churnsurv.tables.html import as_html
from churnsurv.warning.assign import States, places, states_of
from churnsurv.warning.given_score import GivenScore
from churnsurv.warning.rules import IDLE_DAYS, Condition
from churnsurv.warning.score_words import given_sentences, score_sentences

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data import ChurnRule
    from churnsurv.warning.scheme import TierRule, TierScheme

__all__ = ["Explanation", "explain"]

_SIGNS: Mapping[str, str] = {"<": "below", ">=": "at least", ">": "more than", "<=": "at most"}
_WORDS: Mapping[str, str] = {
    "n_investments": "number of investments",
    "total_amount": "total amount invested",
    "max_amount": "highest amount invested at once",
    "ever_boosted": "boosted product bought (1 yes, 0 no)",
    "boosted_share": "share of boosted investments",
}
_COMPARED = 20_000  # ids that are compared letter by letter with one that is unknown


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Explanation(Result):
    """Why a user is in a warning tier, or in none; made by `TierScheme.explain`.

    Attributes
    ----------
    user_id : object
    date : date or None
        Day of the snapshot, where it says one.
    tier : str or None
        The highest tier whose rule holds.
    idle_days : float or None
        Days since the last activity; None where it is missing.
    days_left : int or None
        Days until formal churn if the user stays silent; 0 for a churned user.
    churn_date : date or None
        The day on which they are over.
    text : str
        One paragraph.
    churn_rule : ChurnRule
    """

    _schema: ClassVar[str] = "tier_explanation"

    user_id: object
    date: datetime.date | None
    tier: str | None
    idle_days: float | None
    days_left: int | None
    churn_date: datetime.date | None
    text: str
    churn_rule: ChurnRule
    _table: pd.DataFrame

    @property
    def table(self) -> pd.DataFrame:
        """One row for each condition of each tier, from the highest tier down; schema "tier_explanation"."""
        return self._table.copy()

    def __str__(self) -> str:
        return self.text

    def _headline(self) -> str:
        tier = "no tier" if self.tier is None else f"tier {self.tier}"
        left = "" if self.days_left is None else f"; {_days(self.days_left)} to formal churn"
        idle = "idle days not known" if self.idle_days is None else f"idle for {_days(self.idle_days)}"
        return f"user {self.user_id}: {tier}; {idle}{left}; churn is {self.churn_rule}"

    def _facts(self) -> dict[str, Any]:
        names = ("user_id", "date", "tier", "idle_days", "days_left", "churn_date", "text")
        rule = {"idle_days": self.churn_rule.idle_days, "activity": self.churn_rule.activity}
        return {**{name: getattr(self, name) for name in names}, "rule": rule}

    def _repr_html_(self) -> str:
        shown = self._table[["tier", "alternative", "condition", "value", "holds", "misses_by"]].copy()
        for name in ("value", "misses_by"):  # exactly, beside the thresholds
            shown[name] = ["" if math.isnan(each) else f"{each:,.12g}" for each in shown[name]]
        shown.columns = [name.replace("_", " ") for name in shown.columns]
        return as_html(self.text, shown)


def explain(scheme: TierScheme, snapshot: Any, user_id: object) -> Explanation:
    """Say why a user is in a tier; see `TierScheme.explain`.

    Raises
    ------
    InputError
        If the snapshot has no such user (the nearest ids are given), or has the user on several days.
    SchemaError
        If a column is missing or holds no numbers.
    """
    states = states_of(scheme, snapshot)
    state = states.of_row(_row_of(states.frame["user_id"], user_id))
    place = int(places(scheme, state.numbers)[0])
    day = _day(state.frame)
    idle = float(state.numbers[IDLE_DAYS][0])
    left = None if math.isnan(idle) else max(math.ceil(scheme.idle_days - idle), 0) if math.isfinite(idle) else 0
    tier = None if place < 0 else scheme.tiers[place]
    known = state.frame["user_id"].iloc[0]
    return Explanation(
        user_id=known,
        date=day,
        tier=None if tier is None else tier.name,
        idle_days=None if math.isnan(idle) else idle,
        days_left=left,
        churn_date=day + datetime.timedelta(days=left) if day is not None and left else None,
        text=" ".join(_sentences(scheme, state, known, tier, day, left)),
        churn_rule=scheme.churn_rule,
        _table=_rows(scheme, state),
    )


# ----------------------------------------------------------------------------------------------------- the user


def _row_of(ids: pd.Series[Any], user_id: object) -> int:
    """Position of the user; ids are compared as they print, as an operator types them."""
    text = ids.astype(str)
    found = np.flatnonzero((text == str(user_id)).to_numpy())
    if found.size == 1:
        return int(found[0])
    if found.size > 1:
        raise InputError(
            f"The snapshot has user {str(user_id)!r} in {found.size:,} rows; a tier is one day's. Take a snapshot of "
            "one day."
        )
    near = ", ".join(map(repr, _nearest(str(user_id), text.tolist()))) or "none"
    raise InputError(
        f"There is no user {str(user_id)!r} in the snapshot, which has the living users of its day. The nearest ids "
        f"are {near}."
    )


def _nearest(text: str, ids: Sequence[str]) -> list[str]:
    """Three ids that resemble a text; of very many ids the neighbours in their order are compared."""
    if len(ids) > _COMPARED:
        ordered = sorted(ids)
        place = bisect.bisect_left(ordered, text)
        ids = ordered[max(place - _COMPARED // 2, 0) : place + _COMPARED // 2]
    return difflib.get_close_matches(text, dict.fromkeys(ids), n=3, cutoff=0.0)


def _day(frame: pd.DataFrame) -> datetime.date | None:
    import pandas as pd

    if "date" not in frame:
        return None
    found = pd.to_datetime(frame["date"], errors="coerce").iloc[0]
    return None if pd.isna(found) else found.date()


# ---------------------------------------------------------------------------------------------------- the table


def _conditions(tier: TierRule) -> Iterator[tuple[int, Condition]]:
    for alternative, conditions in enumerate(tier.rule.alternatives, start=1):
        for condition in conditions:
            yield alternative, condition


def _distance(condition: Condition, value: float) -> float:
    """How far a value is from fulfilling a condition; of idle days, which are whole, the days that are missing."""
    if condition.variable == IDLE_DAYS and condition.sign == ">":
        return math.floor(condition.threshold) + 1 - value
    return abs(condition.threshold - value)


def _rows(scheme: TierScheme, state: States) -> pd.DataFrame:
    import pandas as pd

    rows = list[tuple[Any, ...]]()
    for tier in scheme.tiers:
        if not tier.rule.alternatives:
            rows.append((tier.name, None, str(tier.rule), None, np.nan, None, np.nan, False, np.nan))
        for alternative, condition in _conditions(tier):
            value = float(state.numbers[condition.variable][0])
            holds = bool(condition.holds(np.array([value]))[0])
            by = 0.0 if holds else _distance(condition, value)
            named = (condition.variable, value, condition.sign, condition.threshold)
            rows.append((tier.name, alternative, str(condition), *named, holds, by))
    names = ("tier", "alternative", "condition", "variable", "value", "sign", "threshold", "holds", "misses_by")
    return pd.DataFrame(rows, columns=list(names)).astype({"alternative": "Int64", "holds": bool})


# ----------------------------------------------------------------------------------------------------- in words


def _sentences(
    scheme: TierScheme,
    state: States,
    user_id: object,
    tier: TierRule | None,
    day: datetime.date | None,
    left: int | None,
) -> Iterator[str]:
    on = "" if day is None else f" at the end of {day}"
    if left is None:
        yield f"User {user_id} is in no warning tier{on}: how long the user has been idle is not known."
        return
    idle = float(state.numbers[IDLE_DAYS][0])
    if left == 0:
        yield (
            f"User {user_id} has churned already{on}: idle for {_days(idle)}, and {scheme.churn_rule} is churn. "
            "Warning tiers are for users before that day."
        )
        return
    if tier is None:
        reason = "no rule holds" if idle >= 1 or scheme.score is None else "tiers of a score are for silent users"
        yield f"User {user_id} is in no warning tier{on}: {reason}. {_idle(idle)}"
    else:
        reasons = next(a for a in tier.rule.alternatives if not _failed(a, state))
        yield f"User {user_id} is in the warning tier {tier.name}{on}: {_joined([_told(c, state) for c in reasons])}."
    when = f", on {day + datetime.timedelta(days=left)}" if day is not None else ""
    yield f"Without activity ({_activity(scheme.churn_rule)}) the user counts as churned in {_days(left)}{when}."
    if tier is not None and tier.figures.get("precision", math.nan) == tier.figures.get("precision"):
        yield f"Of the users warned in this tier when the rule was fitted, {tier.figures['precision']:.0%} churned."
    yield from _next(scheme, state, tier, idle)
    for name, gone in state.missing.items():
        if gone[0] and name in scheme.missing:
            yield f"The {_name(name)} is not known; {scheme.missing[name]:,.12g} stands in for it."
        elif gone[0]:
            yield f"The {_name(name)} is not known, so that no condition on it holds."


def _next(scheme: TierScheme, state: States, tier: TierRule | None, idle: float) -> Iterator[str]:
    """What silence leads to; and what is in the way of the next higher tier that it does not lead to."""
    higher = [each for each in scheme.tiers[: _rank(scheme, tier)] if each.rule.alternatives]
    if scheme.score is not None:
        said = given_sentences if isinstance(scheme.score, GivenScore) else score_sentences
        yield from said(scheme, state, higher, idle)
        return
    ahead = [
        (day, rank, each)
        for rank, each in enumerate(higher)
        for conditions in each.rule.alternatives
        if (day := _entered(conditions, state, idle)) is not None and day < scheme.idle_days
    ]
    if ahead:
        day, _, each = min(ahead, key=lambda found: found[:2])
        yield (
            f"If the user stays silent and nothing else changes, the tier becomes {each.name} on idle day {day}, in "
            f"{_days(math.ceil(day - idle))}."
        )
        return
    if higher:
        each = higher[-1]
        lacking = min((_failed(a, state) for a in each.rule.alternatives), key=len)
        others = [condition for condition in lacking if condition.variable != IDLE_DAYS]
        if others:
            reasons = _joined([_lacked(condition, state) for condition in others])
            yield f"Silence alone does not lead to the tier {each.name}: {reasons}."


def _rank(scheme: TierScheme, tier: TierRule | None) -> int:
    return len(scheme.tiers) if tier is None else [each.name for each in scheme.tiers].index(tier.name)


def _failed(conditions: Sequence[Condition], state: States) -> list[Condition]:
    return [c for c in conditions if not c.holds(state.numbers[c.variable])[0]]


def _entered(conditions: Sequence[Condition], state: States, idle: float) -> int | None:
    """The idle day on which an alternative comes to hold by silence alone; None: it does not."""
    failed = _failed(conditions, state)
    if not failed or any(c.variable != IDLE_DAYS or c.sign in {"<", "<="} for c in failed):
        return None
    first = max(math.floor(c.threshold) + 1 if c.sign == ">" else math.ceil(c.threshold) for c in failed)
    ends = [c for c in conditions if c.variable == IDLE_DAYS and not c.holds(np.array([float(first)]))[0]]
    return None if ends or first <= idle else first


def _idle(idle: float) -> str:
    return "The user was active on that day." if idle == 0 else f"The user has been idle for {_days(idle)}."


def _told(condition: Condition, state: States) -> str:
    """A condition that holds, with the user's value."""
    value, bound = float(state.numbers[condition.variable][0]), f"{_SIGNS[condition.sign]} {condition.threshold:,.12g}"
    if condition.variable == IDLE_DAYS:
        return f"idle for {_days(value)} ({bound})"
    if condition.variable not in state.frame:  # a score, whose digits say nothing
        return f"{condition.variable} {value:,.3g} ({bound})"
    return f"{_name(condition.variable)} {value:,.12g} ({bound})"


def _lacked(condition: Condition, state: States) -> str:
    """A condition that does not hold."""
    value = float(state.numbers[condition.variable][0])
    name, bound = _name(condition.variable), f"{_SIGNS[condition.sign]} {condition.threshold:,.12g}"
    return f"the {name} is {'not known' if math.isnan(value) else f'{value:,.12g}'}, not {bound}"


def _name(variable: str) -> str:
    return _WORDS.get(variable, variable.replace("_", " "))


def _activity(rule: ChurnRule) -> str:
    return "any event" if rule.activity is None else " or ".join(rule.activity)


def _days(n: float) -> str:
    return f"{n:,.12g} {'day' if n == 1 else 'days'}"


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
