"""Users who came back after a contact: how long they stay, whether they invest again, and what is odd about them."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from churnsurv.action.recalled_anomalies import LEAST_PAST, ODD, Judged, judged
from churnsurv.action.recalled_curves import compared_spells, curves_by_arm
from churnsurv.data.after_contact import AfterContact, after_contact
from churnsurv.data.rule import days_of
from churnsurv.errors import InputError, did_you_mean, require_columns
from churnsurv.survival.frames import counted
from churnsurv.survival.inputs import check_level
from churnsurv.tables import Result, schema

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from churnsurv.data.log import ActivityLog
    from churnsurv.data.rule import ChurnRule
    from churnsurv.survival.cox_fit import CoxFit
    from churnsurv.survival.curves import SurvivalCurves

__all__ = ["Recalled", "monitor_recalled"]

_PLOTS = ("spells", "reinvested", "rechurned", "anomalies")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Recalled(Result):
    """The users of campaigns who came back; made by `monitor_recalled`.

    Those who returned are described. They chose to return, so that neither their arms nor their spells can be compared
    as if they had been drawn: that is what `campaign_lift` does, of all who were assigned.

    Attributes
    ----------
    observed_until : datetime.date
        Last day that is known.
    horizon : int
        A return counts within so many days of the assignment, whose day is the first.
    withdrawn_within : int
        Days after the release of a reward in which a redemption is odd.
    level : float
        Of all limits.
    rule : ChurnRule
    curves : SurvivalCurves or None
        Time to churn of first spells and of spells begun by a return, of all users of the log, clustered by user.
    cox : CoxFit or None
        The hazard ratio of the latter, clustered by user; None where there is nothing to compare.
    reinvested : SurvivalCurves or None
        Days from the return to the next investment, by arm; `survival` is the share without one. Formal churn does
        not end it.
    rechurned : SurvivalCurves or None
        Days from the return to the next formal churn, by arm.
    counts : Mapping of str to int
        `assigned, returned, not_returned` (followed to the horizon), `waiting` (not yet): the last three add up to
        the first; `users, users_in_several`; `reinvested, rechurned, anomalous` of the returned; what is left out.
    notes : tuple of str
        What a reader must know.
    """

    _schema: ClassVar[str] = "recalled"

    observed_until: datetime.date
    horizon: int
    withdrawn_within: int
    level: float
    rule: ChurnRule
    curves: SurvivalCurves | None
    cox: CoxFit | None
    reinvested: SurvivalCurves | None
    rechurned: SurvivalCurves | None
    counts: Mapping[str, int]
    notes: tuple[str, ...]
    _table: pd.DataFrame
    _anomalies: pd.DataFrame
    _watch: pd.DataFrame

    @property
    def table(self) -> pd.DataFrame:
        """One row for each assignment that was followed by a return, by campaign and user; schema "recalled"."""
        return self._table.copy()

    @property
    def anomalies(self) -> pd.DataFrame:
        """What is odd, each with its reason; schema "recalled_anomalies"."""
        return self._anomalies.copy()

    @property
    def watch(self) -> pd.DataFrame:
        """What was looked for, in how many returns, and how often it is found by chance; schema "recalled_watch"."""
        return self._watch.copy()

    def plot(self, ax: Axes | None = None, *, kind: str = "spells") -> Axes:
        """Draw the spells, who invested again or churned again, or what is odd.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; see `churnsurv.plots`.
        kind : {"spells", "reinvested", "rechurned", "anomalies"}

        Raises
        ------
        InputError
            If there is no such kind, or nothing to draw.
        """
        from churnsurv import plots

        if kind not in _PLOTS:
            options = ", ".join(map(repr, _PLOTS))
            raise InputError(f"kind must be one of {options}, not {kind!r}.{did_you_mean(str(kind), _PLOTS)}")
        if kind == "anomalies":
            drawn: Axes = plots.recalled_watch(self._watch, ax)
            return drawn
        curves = {"spells": self.curves, "reinvested": self.reinvested, "rechurned": self.rechurned}[kind]
        if curves is None:
            raise InputError(f"There is nothing to draw: nobody has returned by {self.observed_until}.")
        if kind == "spells":
            return curves.plot(ax)
        shares: Axes = plots.recalled_shares(curves.table, ax, of=kind, level=self.level)
        return shares

    def _headline(self) -> str:
        counts = self.counts
        return (
            f"{counts['returned']:,} of {counts['assigned']:,} assignments returned within {self.horizon} days, "
            f"{counts['reinvested']:,} of them invested again, {counts['rechurned']:,} churned again, "
            f"{counts['anomalous']:,} odd; known on {self.observed_until}; {self.rule}"
        )

    def _facts(self) -> dict[str, Any]:
        ratio = None
        if self.cox is not None:
            row = self.cox.table.iloc[0]
            ratio = {name: float(row[name]) for name in ("hazard_ratio", "hr_lower", "hr_upper", "p_value")}
        return {
            "observed_until": self.observed_until,
            "horizon": self.horizon,
            "withdrawn_within": self.withdrawn_within,
            "level": self.level,
            "rule": {"idle_days": self.rule.idle_days, "activity": self.rule.activity},
            "later_against_first_spells": ratio,
            "counts": dict(self.counts),
            "watch": self._watch.to_dict("records"),
            "notes": list(self.notes),
        }


def monitor_recalled(
    log: ActivityLog,
    assignments: Any,
    *,
    rewards: Any = None,
    horizon: int | str = 90,
    withdrawn_within: int | str = 7,
    level: float = 0.95,
) -> Recalled:
    """Follow the users of campaigns who came back: staying, investing, churning again, and what is odd about them.

    Parameters
    ----------
    log : ActivityLog
        Its last day is what is known; `log.as_of(day)` for an earlier one.
    assignments : Ledger or table
        A contact ledger, or `user_id, campaign, arm, assigned_at` as `campaign_lift` takes it.
    rewards : table, optional
        `user_id, campaign, amount`, and perhaps `promised_until, released_at`. A ledger has its own.
    horizon : int or text such as "90d"
        A return is the first activity of the day of assignment (day 1) up to this day. From it on a user is watched to
        the next formal churn, or to the end of the log.
    withdrawn_within : int or text such as "7d"
        Days after the release of a reward in which redeeming half of what was invested for it is odd.
    level : float
        Of all limits.

    Returns
    -------
    Recalled
        Two kinds of findings are listed. Rules say what happened, whatever its chance. Amounts are compared with the
        user's own past (`numerics.own_past`) so that at most one in 100 users who are as before is listed: `.watch`
        has how many are expected, also of rewards withdrawn, by how soon the same users withdrew money before.

    Raises
    ------
    InputError
        If a table can't be used, a user is in two arms of one campaign, or an argument is not understood.
    SchemaError
        If a column is missing or has the wrong type.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.data import ActivityLog
    >>> users = pd.DataFrame({"user_id": [1, 2], "registered_at": "2024-01-01"})
    >>> events = pd.DataFrame({"user_id": 1, "kind": ["login", "login", "invest"], "amount": [None, None, 500.0],
    ...     "event_at": ["2024-01-03", "2024-03-04", "2024-03-06"]})
    >>> sent = pd.DataFrame({"user_id": [1, 2], "campaign": "spring", "arm": "sms", "assigned_at": "2024-03-01"})
    >>> found = monitor_recalled(ActivityLog(events, users, observed_until="2024-03-20"), sent)
    >>> found.table[["user_id", "returned_on", "days_to_return", "days_to_reinvest", "invested"]]
       user_id returned_on  days_to_return  days_to_reinvest  invested
    0        1  2024-03-04               4               2.0     500.0
    """
    horizon, within = days_of(horizon, "horizon", least=1), days_of(withdrawn_within, "withdrawn_within", least=0)
    level = check_level(level)
    sent, paid = _tables(log, assignments, rewards)
    after = None if sent is None else after_contact(log, sent, rewards=paid, horizon=horizon)
    spells = compared_spells(log, level=level)
    end = np.datetime64(log.observed_until, "D")
    table, oddities = _empty() if after is None else _told(after, end, within)
    curves = _curves(table, end, level)
    counts = _counts(table, after, spells.n_first, spells.n_later)
    return Recalled(
        observed_until=log.observed_until,
        horizon=horizon,
        withdrawn_within=within,
        level=level,
        rule=log.rule,
        curves=spells.curves,
        cox=spells.cox,
        reinvested=curves["reinvested"],
        rechurned=curves["rechurned"],
        counts=MappingProxyType(counts),
        notes=tuple(_notes(log, counts, after, oddities, spells.notes, rewarded=paid is not None)),
        _table=table,
        _anomalies=_anomalies(table, oddities),
        _watch=oddities.watch,
    )


def _tables(log: ActivityLog, assignments: Any, rewards: Any) -> tuple[Any, Any]:
    """The tables of assignments and rewards; None for what has no rows."""
    if callable(getattr(assignments, "assignments", None)):
        ledger, assignments = assignments, assignments.assignments()
        if rewards is None and callable(getattr(ledger, "rewards", None)) and not _is_empty(assignments):
            rewards = ledger.rewards(log)
    if assignments is None:
        raise InputError("assignments: no table was given. Give a ledger, or user_id, campaign, arm, assigned_at.")
    if _is_empty(assignments):
        require_columns("assignments", ("user_id", "campaign", "arm", "assigned_at"), list(assignments.columns))
        assignments = None
    return assignments, None if rewards is None or _is_empty(rewards) else rewards


def _is_empty(table: Any) -> bool:
    shape = getattr(table, "shape", None)
    return isinstance(shape, tuple) and bool(shape) and shape[0] == 0


def _told(after: AfterContact, end: np.datetime64, within: int) -> tuple[pd.DataFrame, Judged]:
    """The table of the returned, and what is odd about them."""
    import pandas as pd

    found = after.returns.to_pandas(date_as_object=False)
    day, returned, again, churned = (
        found[name].to_numpy(dtype="datetime64[D]") for name in ("day", "returned_on", "reinvested_on", "churned_on")
    )
    last = np.where(np.isnat(churned), end, churned)
    money = after.money
    inside = ~money.before & (money.day >= returned[money.row]) & (money.day <= last[money.row])
    sums = {
        name: np.round(np.bincount(money.row[kept], money.amount[kept], len(found)), 6)
        if after.has_amounts
        else np.full(len(found), np.nan)
        for name, kept in (("invested", inside & money.invests), ("redeemed", inside & ~money.invests))
    }
    oddities = judged(after, last=last, end=end, within=within)
    reward, released = _rewards(after, len(found))
    seconds = "datetime64[s]"
    reasons = oddities.found.groupby("row")["reason"].agg(lambda each: ", ".join(dict.fromkeys(each)))
    columns: dict[str, Any] = {
        "user_id": found["user_id"],
        "campaign": found["campaign"].astype(object),
        "arm": found["arm"].astype(object),
        "assigned_at": day.astype(seconds),
        "returned_on": returned.astype(seconds),
        "days_to_return": (returned - day).astype(np.int64) + 1,
        **sums,
        "reinvested_on": again.astype(seconds),
        "days_to_reinvest": np.where(np.isnat(again), np.nan, (again - returned).astype(np.float64)),
        "churned_on": churned.astype(seconds),
        "days_live": (last - returned).astype(np.int64),
        "reward": reward,
        "released_on": released.astype(seconds),
        "anomalies": pd.Series(pd.Series(range(len(found))).map(reasons).to_numpy(dtype=object), dtype=object),
    }
    table = pd.DataFrame(columns)[list(schema("recalled").names)]
    table["anomalies"] = table["anomalies"].where(table["anomalies"].notna(), None)
    return table, oddities


def _rewards(after: AfterContact, n: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """What was promised to each of the returned in all, and the first day on which something of it was released."""
    row = after.rewards["row"].to_numpy().astype(np.int64)
    promised = np.full(n, np.nan)
    sums = np.bincount(row, after.rewards["amount"].to_numpy().astype(np.float64), n)
    promised[row] = sums[row]
    on = after.rewards["released_on"].to_pandas().to_numpy(dtype="datetime64[D]")
    there = np.flatnonzero(~np.isnat(on))
    released = np.full(n, np.datetime64("NaT", "D"))
    # Rows come by day of release: written from the last to the first, the first stays.
    released[row[there][::-1]] = on[there][::-1]
    return promised, released


def _empty() -> tuple[pd.DataFrame, Judged]:
    """Tables for no assignment at all."""
    import pyarrow as pa

    from churnsurv.data.after_contact import Money

    days = pa.array([], pa.date32())
    texts = {name: pa.array([], pa.string()) for name in ("user_id", "campaign", "arm")}
    names = ("day", "returned_on", "last_activity", "churned_on", "reinvested_on")
    returns = pa.table(texts | dict.fromkeys(names, days))
    paid = {"row": pa.array([], pa.int64()), "amount": pa.array([], pa.float64()), "released_on": days, "until": days}
    ints, flags = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.bool_)
    money = Money(ints, ints.astype("datetime64[D]"), flags, np.zeros(0), flags)
    return _told(AfterContact(returns, pa.table(paid), money, True, {}), np.datetime64("2000-01-01"), 0)


def _curves(table: pd.DataFrame, end: np.datetime64, level: float) -> dict[str, SurvivalCurves | None]:
    returned = table["returned_on"].to_numpy(dtype="datetime64[D]")
    again = table["days_to_reinvest"].to_numpy()
    seen = ~np.isnan(again)
    to_end = (end - returned).astype(np.int64)
    return {
        "reinvested": curves_by_arm(
            table, duration=np.where(seen, np.nan_to_num(again), to_end).astype(np.int64), event=seen, level=level
        ),
        "rechurned": curves_by_arm(
            table, duration=table["days_live"].to_numpy(), event=table["churned_on"].notna().to_numpy(), level=level
        ),
    }


def _counts(table: pd.DataFrame, after: AfterContact | None, n_first: int, n_later: int) -> dict[str, int]:
    known = {} if after is None else dict(after.counts)
    return {
        "assigned": known.pop("assigned", 0),
        "returned": len(table),
        "not_returned": known.pop("not_returned", 0),
        "waiting": known.pop("waiting", 0),
        "users": known.pop("users", 0),
        "users_in_several": known.pop("users_in_several", 0),
        "reinvested": int(table["reinvested_on"].notna().sum()),
        "rechurned": int(table["churned_on"].notna().sum()),
        "anomalous": int(table["anomalies"].notna().sum()),
        "first_spells": n_first,
        "later_spells": n_later,
        **{name: n for name, n in known.items() if name != "returned"},
    }


def _anomalies(table: pd.DataFrame, oddities: Judged) -> pd.DataFrame:
    found = oddities.found
    about = table[["user_id", "campaign"]].iloc[found["row"]].reset_index(drop=True)
    return about.join(found.drop(columns="row"))[list(schema("recalled_anomalies").names)]


def _notes(
    log: ActivityLog,
    counts: Mapping[str, int],
    after: AfterContact | None,
    oddities: Judged,
    of_spells: tuple[str, ...],
    *,
    rewarded: bool,
) -> list[str]:
    notes = []
    if after is None:
        notes.append(f"No assignment is known by {log.observed_until}.")
    else:
        notes.append(
            f"{counts['returned']:,} of {counts['assigned']:,} assignments were followed by a return. Those who "
            "returned chose to: they are described, and arms of them are not comparable. What a campaign brought is "
            "told by campaign_lift, of all who were assigned."
        )
    notes += of_spells
    if counts["users_in_several"]:
        notes.append(
            f"{counted(counts['users_in_several'], 'user')} of several campaigns: a return counts in each campaign "
            "whose horizon it is in, and curves are clustered by user."
        )
    lost = {name: n for name, n in counts.items() if name.startswith("rewards_") and name != "rewards_used"}
    if lost:
        told = ", ".join(f"{name.removeprefix('rewards_')} {n:,}" for name, n in lost.items())
        notes.append(f"Rewards left out: {told}.")
    if after is not None and not after.has_amounts:
        notes.append("The events have no amounts: what was invested is null, and nothing is odd about it.")
    if after is not None and not rewarded:
        notes.append("No rewards were given: nothing is said of rewards taken and withdrawn.")
    return notes + _of_chance(oddities)


def _of_chance(oddities: Judged) -> list[str]:
    """How many are listed though nothing is odd."""
    notes = []
    far = oddities.watch.set_index("reason").loc["amount_far"]
    if far["n_judged"]:
        notes.append(
            f"{far['n_judged']:,} returns of users with at least {LEAST_PAST} investments before are compared with "
            f"their own past, each at a chance of {ODD:g} for all its amounts together: at most about "
            f"{far['expected_false']:.3g} of them are listed if nothing is odd; {far['n_listed']:,} are."
        )
    soon = oddities.watch.set_index("reason").loc["reward_withdrawn"]
    if soon["n_judged"] and np.isfinite(soon["expected_false"]):
        notes.append(
            f"{soon['n_listed']:,} of {soon['n_judged']:,} returns with a released reward withdrew half of what they "
            f"had invested for it; about {soon['expected_false']:,.3g} would have, had they done as after their "
            "investments before the assignment."
        )
    return notes
