"""Whom to call back, and how: the churned of a day with the reason why they left and the strategy that fits it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from churnsurv.action.recall_reasons import LEAST_ANSWERS, LEAST_OF_GROUP, NONE, chances, responses
from churnsurv.action.recall_strategies import UNKNOWN, Strategy, read_strategies
from churnsurv.data.arrow import to_pandas
from churnsurv.data.recall_states import ChurnedStates, churned_states
from churnsurv.data.rule import calendar_day
from churnsurv.errors import InputError
from churnsurv.survival.frames import counted
from churnsurv.survival.inputs import check_level
from churnsurv.tables import Result, schema

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data import Feature
    from churnsurv.data.log import ActivityLog
    from churnsurv.data.rule import ChurnRule

__all__ = ["RecallList", "Strategy", "recall_list"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RecallList(Result):
    """The churned of a day with reason and strategy; made by `recall_list`.

    Attributes
    ----------
    date : datetime.date
        The day at whose end the users are churned, and everything was known.
    since : datetime.date or None
        Only churns of this day and later.
    level : float
        Of the limits.
    min_probability : float
        Below it a reason is not called likely.
    strategies : Mapping of str to Strategy
    rule : ChurnRule
    counts : Mapping of str to int
        `listed`; `told`, `likely` and `none` by where the reason comes from, which add up to it; `without_strategy`
        of those with a reason; `before_since`, churned users that `since` leaves out; `churns`, all up to the day, and
        `answered`, those with an answer; what of users and feedback is left out.
    notes : tuple of str
        What a reader must know.
    """

    _schema: ClassVar[str] = "recall_list"

    date: datetime.date
    since: datetime.date | None
    level: float
    min_probability: float
    strategies: Mapping[str, Strategy]
    rule: ChurnRule
    counts: Mapping[str, int]
    notes: tuple[str, ...]
    _table: pd.DataFrame
    _chances: pd.DataFrame
    _responses: pd.DataFrame

    @property
    def table(self) -> pd.DataFrame:
        """One row for each churned user, the highest total invested first; schema "recall_list" + the features."""
        return self._table.copy()

    @property
    def chances(self) -> pd.DataFrame:
        """Probability of each reason by stage and channel, among those who answered; schema "recall_chances"."""
        return self._chances.copy()

    @property
    def responses(self) -> pd.DataFrame:
        """Which churns have an answer, by stage, channel and tenure; schema "recall_responses"."""
        return self._responses.copy()

    def _headline(self) -> str:
        counts = self.counts
        since = "" if self.since is None else f" since {self.since}"
        return (
            f"{counts['listed']:,} users churned{since} at the end of {self.date}: {counts['told']:,} said why, "
            f"{counts['likely']:,} have a likely reason, {counts['none']:,} none; {self.rule}"
        )

    def _facts(self) -> dict[str, Any]:
        told = {
            reason: {name: getattr(each, name) for name in ("message", "wait", "after", "after_on", "product_matched")}
            for reason, each in self.strategies.items()
        }
        return {
            "date": self.date,
            "since": self.since,
            "level": self.level,
            "min_probability": self.min_probability,
            "strategies": told,
            "rule": {"idle_days": self.rule.idle_days, "activity": self.rule.activity},
            "counts": dict(self.counts),
            "notes": list(self.notes),
        }


def recall_list(
    log: ActivityLog,
    *,
    as_of: datetime.date | str,
    feedback: Any = None,
    strategies: Any = None,
    since: datetime.date | str | None = None,
    min_probability: float = 0.5,
    features: Sequence[str | Feature] = (),
    level: float = 0.95,
) -> RecallList:
    """List the churned users of a day, why they left as far as that is known or likely, and how to call them back.

    Parameters
    ----------
    log : ActivityLog
    as_of : date or ISO text
        A day of the log. Who is churned at its end is listed, by what was known then: neither events nor answers of
        later days change anything.
    feedback : table, optional
        `user_id, date, reason`: what users answered; the log's own by default. An answer belongs to a churn if it is of
        a day after the last activity and not after the return; of several the latest counts.
    strategies : Mapping, table, TOML file, optional
        By reason, see `Strategy`; those of the case by default. "unknown" is for users without a reason.
    since : date or ISO text, optional
        Only users who churned on this day or later.
    min_probability : float
        A silent user is given the most frequent reason of his stage and channel if its probability is at least this.
    features : sequence of str or Feature
        Further columns, as of the end of the day.
    level : float
        Of the limits of probabilities.

    Returns
    -------
    RecallList
        The probability of a likely reason is its share among those of the same stage and channel who answered, drawn to
        the other groups as far as the answers say that groups are alike (`numerics.category_shares`); the limits are
        quantiles of its posterior law. Of fewer than 20 answers in all, or 5 of the group, no reason is likely.

        It is a statement about those who answered. It holds for the silent if, within stage and channel, whether a user
        answers has nothing to do with the reason; no table can show that.

    Raises
    ------
    InputError
        If the log does not cover the day, an argument is not understood, or a strategy makes no sense.
    SchemaError
        If a table lacks a column.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.data import ActivityLog
    >>> users = pd.DataFrame({"user_id": [1, 2, 3], "registered_at": "2024-01-01"})
    >>> events = pd.DataFrame({"user_id": [1, 2, 3, 3], "kind": "invest", "amount": [100.0, 900, 5, 5],
    ...     "product": "plain", "event_at": ["2024-01-03", "2024-01-04", "2024-01-05", "2024-02-20"]})
    >>> answers = pd.DataFrame({"user_id": [1], "date": ["2024-02-10"], "reason": ["rigid"]})
    >>> found = recall_list(ActivityLog(events, users), as_of="2024-02-18", feedback=answers)
    >>> found.table[["user_id", "churned_on", "total_amount", "reason", "reason_from", "not_before"]]
       user_id churned_on  total_amount reason reason_from not_before
    0        2 2024-02-03         900.0   None        None        NaT
    1        1 2024-02-02         100.0  rigid        told 2024-05-02
    2        3 2024-02-04           5.0   None        None        NaT
    """
    day, level = calendar_day(as_of, "as_of"), check_level(level)
    first = None if since is None else calendar_day(since, "since")
    if first is not None and first > day:
        raise InputError(f"since ({first}) is after as_of ({day}): nobody can be listed. Choose an earlier day.")
    if (
        not isinstance(min_probability, (int, float))
        or isinstance(min_probability, bool)
        or not 0 <= min_probability <= 1
    ):
        raise InputError(f"min_probability must lie between 0 and 1, such as 0.5; it is {min_probability!r}.")
    chosen = read_strategies(strategies)
    states = churned_states(log, as_of=day, feedback=feedback, features=features)
    churns = to_pandas(states.churns)
    likely = chances(churns, min_probability=float(min_probability), level=level)
    listed = to_pandas(states.listed)
    kept = listed if first is None else listed[listed["churned_on"] >= np.datetime64(first)]
    table = _with_calls(_with_reasons(kept, likely), chosen, day)
    counts = _counts(table, churns, len(listed) - len(kept), states)
    answered = responses(churns, level=level)
    return RecallList(
        date=day,
        since=first,
        level=level,
        min_probability=float(min_probability),
        strategies=chosen,
        rule=log.rule,
        counts=MappingProxyType(counts),
        notes=tuple(_notes(table, counts, answered, likely, states, asked="feedback" in states.counts)),
        _table=table,
        _chances=likely,
        _responses=answered,
    )


def _with_reasons(listed: pd.DataFrame, likely: pd.DataFrame) -> pd.DataFrame:
    """Add the reason of each user, where it comes from, and the probability of a likely one."""
    import pandas as pd

    made = listed.reset_index(drop=True)
    told = made["reason"].notna().to_numpy()
    best = likely[likely["likely"]].set_index(["stage", "channel"])
    keys = {
        name: made[name].astype(object).where(made[name].notna(), NONE).astype(str) for name in ("stage", "channel")
    }
    place = (
        best.index.get_indexer(pd.MultiIndex.from_frame(pd.DataFrame(keys))) if len(best) else np.full(len(made), -1)
    )
    from_others = ~told & (place >= 0)
    reason = made["reason"].astype(object).where(told, None).to_numpy(dtype=object, copy=True)
    reason[from_others] = best["reason"].to_numpy(dtype=object)[place[from_others]]
    source = np.full(len(made), None, dtype=object)
    source[told], source[from_others] = "told", "likely"
    made["reason"], made["reason_from"] = pd.Series(reason, dtype=object), pd.Series(source, dtype=object)
    for name in ("probability", "lower", "upper"):
        values = np.full(len(made), np.nan)
        values[from_others] = best[name].to_numpy()[place[from_others]]
        made[name] = values
    return made


def _with_calls(made: pd.DataFrame, strategies: Mapping[str, Strategy], day: datetime.date) -> pd.DataFrame:
    """Add strategy, message and the first day to call, and put columns and rows in order."""
    import pandas as pd

    n = len(made)
    words, message = np.full(n, None, dtype=object), np.full(n, None, dtype=object)
    not_before = np.full(n, np.datetime64("NaT", "s"))
    churned = made["churned_on"].to_numpy().astype("datetime64[D]")
    keys = made["reason"].astype(object).where(made["reason"].notna(), UNKNOWN).to_numpy(dtype=object)
    product = made["preferred_product"].astype(object).where(made["preferred_product"].notna(), None)
    tomorrow = np.datetime64(day, "D") + 1
    for reason, strategy in strategies.items():
        rows = np.flatnonzero(keys == reason)
        words[rows] = strategy.words
        said = {each: strategy.said(each) for each in product.iloc[rows].unique()}
        message[rows] = [said[each] for each in product.iloc[rows]]
        if strategy.after is None or strategy.after_on is not None:
            first = np.maximum(churned[rows] + strategy.wait, tomorrow)
            if strategy.after_on is not None:
                first = np.maximum(first, np.datetime64(strategy.after_on, "D"))
            not_before[rows] = first
    made["strategy"], made["message"] = pd.Series(words, dtype=object), pd.Series(message, dtype=object)
    made["not_before"] = not_before
    made["date"] = np.full(n, np.datetime64(day, "s"))
    since = np.datetime64(day, "D") - churned
    made["days_since_churn"] = since.astype(np.int64)
    names = list(schema("recall_list").names)
    helpers = {"place", "spell", "last_activity", "answered_on"}
    features = [name for name in made.columns if name not in names and name not in helpers]
    ordered = made.sort_values(["total_amount", "place"], ascending=[False, True], na_position="last", kind="stable")
    return ordered[names + features].reset_index(drop=True)


def _counts(table: pd.DataFrame, churns: pd.DataFrame, before: int, states: ChurnedStates) -> dict[str, int]:
    told, likely = (int((table["reason_from"] == each).sum()) for each in ("told", "likely"))
    known = table["reason"].notna()
    return {
        "listed": len(table),
        "told": told,
        "likely": likely,
        "none": len(table) - told - likely,
        "without_strategy": int((known & table["strategy"].isna()).sum()),
        "before_since": before,
        "churns": len(churns),
        "answered": int(churns["answered"].sum()),
        **states.counts,
    }


def _notes(
    table: pd.DataFrame,
    counts: Mapping[str, int],
    answered: pd.DataFrame,
    likely: pd.DataFrame,
    states: ChurnedStates,
    *,
    asked: bool,
) -> list[str]:
    notes = _of_reasons(counts, answered, likely, asked=asked)
    bare = sorted(set(table.loc[table["reason"].notna() & table["strategy"].isna(), "reason"]))
    if bare:
        notes.append(
            f"No strategy is given for {', '.join(map(repr, bare))}: {counts['without_strategy']:,} users have none."
        )
    if counts["not_seen"]:
        notes.append(
            f"{counted(counts['not_seen'], 'user')} registered before the log and never seen in it are not listed: "
            "nobody can say when they churned."
        )
    if counts["life_not_observed"]:
        notes.append(
            f"{counted(counts['life_not_observed'], 'user')} registered before the log: counts and sums begin with it."
        )
    if states.absent:
        notes.append(f"The tables do not tell {', '.join(states.absent)}: null.")
    return notes


def _of_reasons(counts: Mapping[str, int], answered: pd.DataFrame, likely: pd.DataFrame, *, asked: bool) -> list[str]:
    """What is known of reasons, and what a probability means."""
    if not asked:
        return ["There is no feedback: no reason is known, and none can be called likely."]
    if counts["answered"] < LEAST_ANSWERS:
        few = counted(counts["answered"], "churn")
        return [f"{few} with an answer: fewer than {LEAST_ANSWERS} tell no likely reason."]
    return [
        _selection(counts, answered),
        "A probability is the reason's share among those of the same stage and channel who answered, as if "
        f"{likely['prior'].min():,.0f} to {likely['prior'].max():,.0f} of the answers of other groups (the number by "
        "how alike the groups are) had been given in it; the limits are quantiles of that posterior law. Groups of "
        f"fewer than {LEAST_OF_GROUP} answers have no likely reason. It counts those who left for some reason: whoever "
        "is only slow to come back has none.",
    ]


def _selection(counts: Mapping[str, int], answered: pd.DataFrame) -> str:
    """Who answers, and what that means for the likely reasons."""
    said = []
    for variable in ("stage", "channel", "tenure"):
        rows = answered[answered["variable"] == variable]
        if len(rows) > 1:
            p = float(rows["adjusted_p_value"].iloc[0])
            shown = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
            said.append(f"by {variable} {rows['share'].min():.0%} to {rows['share'].max():.0%} ({shown})")
    spread = f", {'; '.join(said)}, p-values by Holm" if said else ""
    return (
        f"{counts['answered']:,} of {counts['churns']:,} churns have an answer{spread}. Answers are not missing at "
        "random: differences by stage and channel are allowed for, since likely reasons are those of the same stage "
        "and channel; differences by tenure and by what the tables do not show are not. If the silent of a group left "
        "for other reasons than those who answered, their probabilities are wrong by that much, whatever the limits."
    )
