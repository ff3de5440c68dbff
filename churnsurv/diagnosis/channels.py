"""What acquisition channels are worth: their users' conversion, stay, activity and margin against what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.negative_amounts import negative_amounts_note
from churnsurv.data.user_days import UserDays, user_days
from churnsurv.diagnosis.naming import quoted
from churnsurv.diagnosis.pooled import pooled
from churnsurv.diagnosis.rewards import Flow, ProgressiveReward, costs_by_channel, flow_of
from churnsurv.diagnosis.rows import frame_of
from churnsurv.errors import FollowUpError, InputError, did_you_mean, require_columns
from churnsurv.notes import note
from churnsurv.numerics.accumulated import AccumulatedMean, accumulated_mean
from churnsurv.survival.factors import joined
from churnsurv.survival.frames import as_frame, counted
from churnsurv.survival.inputs import check_level
from churnsurv.survival.multiplicity import adjusted
from churnsurv.tables import Result, schema
from churnsurv.tables.said import said_list

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from churnsurv.data import ActivityLog

__all__ = ["ChannelValue", "channel_value"]

Floats: TypeAlias = NDArray[np.float64]
Margin: TypeAlias = "Mapping[str, float] | Any | None"

_RATES = ("active_day", "invested_day")
_NO_REWARDS: Mapping[str, ProgressiveReward] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ChannelValue(Result):
    """Value of the users of each channel; made by `channel_value`.

    Attributes
    ----------
    by : str
    horizon : int
        Days since registration, the last of which counts.
    keep : float
        Value of a user from which on a channel is kept.
    level : float
        Of the intervals, each alone, and of verdicts, which hold for all channels together.
    n_users : int
    margin : str or None
        Where the margin comes from.
    notes : tuple of str
        What a reader must know.
    """

    _schema: ClassVar[str] = "channel_value"

    by: str
    horizon: int
    keep: float
    level: float
    n_users: int
    margin: str | None
    notes: tuple[str, ...]
    _table: pd.DataFrame

    @property
    def table(self) -> pd.DataFrame:
        """One row for each channel."""
        return self._table.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the value of a user by channel; the days until churn where there is no value."""
        from churnsurv.plots.channels import channel_value as draw

        axes: Axes = draw(self._table, ax, keep=self.keep, level=self.level)
        return axes

    def _facts(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("by", "horizon", "keep", "level", "n_users", "margin", "notes")}

    def _headline(self) -> str:
        head = f"{len(self._table)} groups of {self.by}, {self.n_users:,} users, {self.horizon} days"
        known = self._table[self._table["verdict"].notna()]
        if known.empty:
            rows = self._table.dropna(subset=["days_until_churn"])
            each = ", ".join(f"{row.channel} {row.days_until_churn:.0f}" for row in rows.itertuples(index=False))
            return f"{head}; days until churn: {each or 'not followed so far'}"
        said = [
            f"{word} {', '.join(names)}"
            for word in ("keep", "watch", "drop")
            if (names := known.loc[known["verdict"] == word, "channel"].tolist())
        ]
        return f"{head}: {'; '.join(said)}"


def channel_value(
    log: ActivityLog,
    costs: Any = None,
    *,
    margin: Margin = None,
    rewards: Mapping[str, ProgressiveReward] = _NO_REWARDS,
    horizon: int = 180,
    by: str = "channel",
    min_users: int = 30,
    keep: float = 0.0,
    level: float = 0.95,
) -> ChannelValue:
    """Weigh what users of each channel bring within a horizon against what they cost.

    Users registered too lately to be followed to the horizon count for the days that they were followed for: they are
    censored, not failures.

    Parameters
    ----------
    log : ActivityLog
    costs : table, optional
        The column `by` and `cost_per_user`; or `amount`, all that was paid for the channel's users of the log, in any
        number of rows (with a `date`, those inside the log count); or `user_id, date, cost`, what was paid for each
        user from registration on. A channel without a cost, or of whose users none has one, has no value: state 0.
    margin : mapping or table, optional
        ``{"invested_day": 0.0001, "active_day": 0.02}``: margin for each unit of balance held at the end of a day, and
        for each active day; one of them or both. Or a table `user_id, date, margin`. Without it there is no value.
    rewards : mapping of channel to ProgressiveReward
        Paid on top of the costs.
    horizon : int
        Days since registration; activity, balance and margin count from day 0 to this day, both included.
    by : str
        Column of the users.
    min_users : int
        Groups with fewer users are pooled as "other".
    keep : float
        Value of a user (margin less cost) from which on a channel is kept.
    level : float
        Of the intervals; verdicts other than "watch" are wrong for any channel with at most 1 - level (Holm).

    Returns
    -------
    ChannelValue
        `.table` has schema "channel_value". `conversion`: share with a first investment by the horizon (one minus
        Kaplan-Meier); `days_until_churn`: restricted mean of the first spell; `active_days` and `margin`: see
        `churnsurv.numerics.accumulated`, returns after churn included. `sure`: P(value > keep) by the normal law of
        the estimate, an approximation.

    Raises
    ------
    FollowUpError
        If no user was followed to the horizon.
    InputError
        If costs, margin, rewards or another argument cannot be used.

    Examples
    --------
    >>> import pandas as pd
    >>> import churnsurv as ch
    >>> costs = pd.DataFrame({"channel": ["organic", "distribution"], "cost_per_user": [0.5, 30.0]})
    >>> found = channel_value(ch.simulate_app(400).log, costs, margin={"active_day": 1.0}, horizon=60)
    >>> found.table.loc[[1, 3], ["channel", "cost_per_user", "verdict"]]
            channel  cost_per_user verdict
    1  distribution           30.0    drop
    3       organic            0.5    keep
    """
    level = check_level(level)
    _check(horizon, min_users, keep, rewards)
    rates = _rates(margin)
    users = log.churn_spells().table
    taken = {*schema("spells").names, "registered_at"}
    require_columns("users", [by], [name for name in users.columns if name not in taken])
    days = user_days(log, horizon=horizon, held="invested_day" in rates)
    if users["user_id"].astype(str).tolist() != days.user_id.to_pandas().astype(str).tolist():
        raise AssertionError("churnsurv lost users between spells and days; please report this.")
    if days.followed.max(initial=-1) < horizon:
        longest = days.followed.max(initial=-1)
        raise FollowUpError(f"Nobody was followed to day {horizon}; the longest follow-up has {longest} days.")
    notes: list[str] = []
    group = pooled(users[by], min_users)
    notes += [group.note] if group.note else []
    margins = _margins(margin, rates, days, log, notes)
    cost, spent = _costs(costs, rewards, users, by, days, log, notes)
    asked = _Asked(users, days, margins, cost, spent, horizon, float(keep), level)
    codes = group.column.cat.codes.to_numpy()
    named = [(str(name), np.flatnonzero(codes == place)) for place, name in enumerate(group.column.cat.categories)]
    rows = [_row(name, chosen, asked, notes) for name, chosen in named]
    _verdicts(rows, level)
    notes += _closing_notes(rows, margins is not None, len(users), log.counts["users"] - len(users), min_users, horizon)
    if margins is not None and costs is None and not rewards:
        notes.append(note("Without costs there is no value and no verdict: costs of 0 are to be stated."))
    source = None if margins is None else ", ".join(rates) or "table"
    return ChannelValue(by, horizon, float(keep), level, len(users), source, tuple(notes), _typed(rows))


def _check(horizon: int, min_users: int, keep: float, rewards: Mapping[str, ProgressiveReward]) -> None:
    for name, value in (("horizon", horizon), ("min_users", min_users)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise InputError(f"{name} must be a whole number of at least 1; it is {value!r}.")
    if isinstance(keep, bool) or not isinstance(keep, (int, float)) or not np.isfinite(keep):
        raise InputError(f"keep must be a finite number, a value per user; it is {keep!r}.")
    if not isinstance(rewards, Mapping) or any(not isinstance(each, ProgressiveReward) for each in rewards.values()):
        raise InputError(f"rewards maps channels to ProgressiveReward; it is {rewards!r}.")


def _rates(margin: Margin) -> dict[str, float]:
    """The margin for each unit and day, where it is given so."""
    if not isinstance(margin, Mapping):
        if isinstance(margin, (int, float)):
            raise InputError(
                f"margin={margin!r} does not say of what: margin={{'active_day': {margin!r}}} is for each active day, "
                f"margin={{'invested_day': {margin!r}}} for each unit held at the end of each day."
            )
        return {}
    for name, rate in margin.items():
        if name not in _RATES:
            raise InputError(
                f"margin: there is no {name!r}.{did_you_mean(str(name), _RATES)} Use {' or '.join(_RATES)}."
            )
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not np.isfinite(rate):
            raise InputError(f"margin: {name!r} must be a finite number; it is {rate!r}.")
    if not margin:
        raise InputError(f"margin is empty. Give {' or '.join(_RATES)}, or leave it out.")
    return {str(name): float(rate) for name, rate in margin.items()}


def _margins(
    margin: Margin, rates: Mapping[str, float], days: UserDays, log: ActivityLog, notes: list[str]
) -> list[tuple[Flow, bool]] | None:
    """What users bring: amounts on days, and amounts that last (True)."""
    if margin is None:
        return None
    if not rates:
        flow = flow_of(margin, "margin", days, "margin", log._reading.clock)
        notes += flow.notes
        return [(flow, False)]
    flows = []
    if "active_day" in rates:
        paid = np.full(days.active_day.size, rates["active_day"])
        flows.append((Flow(days.active_user, days.active_day, paid, ()), False))
    if "invested_day" in rates:
        if days.held_user is None or days.held_day is None or days.held is None:
            raise InputError(
                "margin: 'invested_day' needs balances, or events with 'kind' and 'amount', to know what is held."
            )
        flows.append((Flow(days.held_user, days.held_day, days.held * rates["invested_day"], ()), True))
        if "balances" not in log._reading.sources and (said := negative_amounts_note(log)):
            notes.append(said)
    return flows


def _costs(
    costs: Any,
    rewards: Mapping[str, ProgressiveReward],
    users: pd.DataFrame,
    by: str,
    days: UserDays,
    log: ActivityLog,
    notes: list[str],
) -> tuple[Floats, Flow | None]:
    """The acquisition cost of each user, null where not known; and what was paid for users one by one, by day."""
    clock, window = log._reading.clock, (log.observed_from, log.observed_until)
    import pandas as pd

    groups = joined(users[[by]].reset_index(drop=True), [by])
    codes = np.zeros(len(users), np.int64) if groups.codes is None else groups.codes.astype(np.int64)
    spent = None
    if costs is not None:
        costs = as_frame(costs, what="costs")
        if "user_id" in costs.columns and by not in costs.columns:
            spent = flow_of(costs, "cost", days, "costs", clock, least=0)
            notes += spent.notes
            # A channel with a row for any of its users is known; 0 stands for its users without one.
            paid = {groups.labels[code]: 0.0 for code in np.unique(codes[spent.user])}
            costs = pd.DataFrame({by: list(paid), "cost_per_user": list(paid.values())})
    found = costs_by_channel(
        costs, rewards, users, by, list(groups.labels), codes, notes, window=window, clock=clock
    )  # fmt: skip
    return found[codes], spent


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """Users, what they bring and cost, and the question: the same for all channels."""

    users: pd.DataFrame
    days: UserDays
    margins: list[tuple[Flow, bool]] | None
    cost: Floats
    spent: Flow | None
    horizon: int
    keep: float
    level: float

    def mean(self, flow: Flow, chosen: NDArray[np.intp], *, lasting: bool = False) -> AccumulatedMean:
        """Mean of a flow over the users of a channel."""
        place = np.full(self.days.followed.size, -1)
        place[chosen] = np.arange(chosen.size)
        mine = place[flow.user] >= 0
        return accumulated_mean(
            self.days.followed[chosen], user=place[flow.user[mine]], day=flow.day[mine], amount=flow.amount[mine],
            horizon=self.horizon, lasting=lasting,
        )  # fmt: skip

    def limits(self, name: str, estimate: float, std_error: float) -> dict[str, float]:
        """Estimate and limits; no limits where nothing varies."""
        from scipy.special import ndtri

        half = float(ndtri((1 + self.level) / 2)) * std_error if std_error > 0 else np.nan
        return {name: estimate, f"{name}_lower": estimate - half, f"{name}_upper": estimate + half}


def _row(name: str, chosen: NDArray[np.intp], asked: _Asked, notes: list[str]) -> dict[str, Any]:
    """All figures of one channel; null where nobody of it was followed to the horizon."""
    days, horizon = asked.days, asked.horizon
    followed = days.followed[chosen]
    row: dict[str, Any] = {
        "channel": name, "n_users": chosen.size, "n_followed": int((followed >= horizon).sum()),
        "cost_per_user": float(asked.cost[chosen].mean()),
    }  # fmt: skip
    if row["n_followed"] == 0:
        last = int(followed.max(initial=0))
        notes.append(
            note(
                "{channel} is followed to day {last} only: it has no figures for {days} days.",
                channel=quoted(name),
                last=last,
                days=horizon,
            )
        )
        return row
    row |= _conversion(days, chosen, name, horizon, asked.level, notes)
    row |= _stay(asked.users.iloc[chosen], name, horizon, asked.level, notes)
    active = asked.mean(Flow(days.active_user, days.active_day, np.ones(days.active_day.size), ()), chosen)
    row |= asked.limits("active_days", active.estimate, active.std_error)
    return row | _money(row, chosen, asked, notes)


def _money(row: Mapping[str, Any], chosen: NDArray[np.intp], asked: _Asked, notes: list[str]) -> dict[str, Any]:
    """Cost, margin and value of a user, as far as they are known."""
    cost, influence = row["cost_per_user"], np.zeros(chosen.size)
    if asked.spent is not None:
        paid = asked.mean(asked.spent, chosen)
        cost, influence = cost + paid.estimate, -paid.influence
    if asked.margins is None:
        return {"cost_per_user": cost}
    brought = [asked.mean(flow, chosen, lasting=lasting) for flow, lasting in asked.margins]
    total = sum(each.estimate for each in brought)
    of_margin = np.sum([each.influence for each in brought], axis=0)
    found = asked.limits("margin", total, float(np.sqrt(of_margin @ of_margin)))
    if np.isnan(cost):
        return found
    std_error = float(np.sqrt((of_margin + influence) @ (of_margin + influence)))
    if not std_error > 0:
        notes.append(
            note(
                "{channel}: all users bring the same, so that nothing is known of chance: watch it.",
                channel=quoted(row["channel"]),
            )
        )
    score = (total - cost - asked.keep) / std_error if std_error > 0 else np.nan
    return found | asked.limits("value", total - cost, std_error) | {"cost_per_user": cost, "_z": score}


def _conversion(
    days: UserDays, chosen: NDArray[np.intp], name: str, horizon: int, level: float, notes: list[str]
) -> dict[str, float]:
    """Share with a first investment by the horizon: one minus Kaplan-Meier of the days to it."""
    import pandas as pd

    from churnsurv.survival.curves import kaplan_meier

    if days.invested is None:
        return {}
    first, followed = days.invested[chosen], days.followed[chosen]
    done = ~np.isnan(first)
    waiting = pd.DataFrame({"duration": np.where(done, first, followed).astype(np.int64), "churned": done})
    last = int(waiting["duration"].max())
    curve = kaplan_meier(waiting, level=level)
    if last < horizon and not done[waiting["duration"] == last].all():
        notes.append(
            note(
                "{channel}: no conversion by day {day}. Of the users who had not invested nobody was followed beyond "
                "day {last}.",
                channel=quoted(name),
                day=horizon,
                last=last,
            )
        )
        return {}
    at = curve.at([min(last, horizon)]).iloc[0]
    return {
        "conversion": 1 - at["survival"], "conversion_lower": 1 - at["upper"], "conversion_upper": 1 - at["lower"],
    }  # fmt: skip


def _stay(users: pd.DataFrame, name: str, horizon: int, level: float, notes: list[str]) -> dict[str, float]:
    """Mean days until formal churn of the first spell, up to the horizon."""
    from churnsurv.survival.rmst import rmst

    try:
        found = rmst(users[["entry", "duration", "churned"]], horizon=horizon, entry="entry", level=level).table.iloc[0]
    except FollowUpError:
        notes.append(
            note(
                "{channel}: no mean days until churn within {days} days. Of the users who had not churned nobody was "
                "followed beyond day {last}.",
                channel=quoted(name),
                days=horizon,
                last=int(users["duration"].max()),
            )
        )
        return {}
    return {
        "days_until_churn": found["estimate"], "days_until_churn_lower": found["lower"],
        "days_until_churn_upper": found["upper"],
    }  # fmt: skip


def _verdicts(rows: list[dict[str, Any]], level: float) -> None:
    """Keep and drop where the value differs from what is asked for, for all channels together; else watch."""
    from scipy.special import ndtr

    z = np.array([row.pop("_z", np.nan) for row in rows])
    p_adjusted = adjusted(2 * ndtr(-np.abs(z)), "holm")
    for row, score, p_value in zip(rows, z, p_adjusted, strict=True):
        if "value" not in row:
            continue
        clear = not np.isnan(p_value) and p_value <= 1 - level
        row["verdict"] = ("keep" if score > 0 else "drop") if clear else "watch"
        row["sure"] = float(ndtr(score))


def _closing_notes(
    rows: list[dict[str, Any]], priced: bool, n_users: int, early: int, min_users: int, horizon: int
) -> list[str]:
    notes: list[str] = []
    lately = n_users - sum(row["n_followed"] for row in rows)
    if lately:
        notes.append(
            note(
                "{users} of {n} registered less than {days} days before the end of the log: they count for the days "
                "that they were followed for. That takes them to be like those registered earlier.",
                users=counted(lately, "user"),
                n=f"{n_users:,}",
                days=horizon,
            )
        )
    few = [quoted(row["channel"]) for row in rows if 0 < row["n_followed"] < min_users]
    if few:
        notes.append(
            note(
                "Fewer than {least} users of {channels} were followed to day {day}: intervals are rough.",
                least=min_users,
                channels=said_list(few),
                day=horizon,
            )
        )
    if early:
        notes.append(
            note("{users} registered before the first day of the log: left out.", users=counted(early, "user"))
        )
    if any("value" in row for row in rows):
        notes.append(
            note(
                "Value is margin less cost of a user, costs by channel taken as exact; 'sure' is its chance to exceed "
                "what is asked for by the normal law of the estimate, an approximation. Verdicts hold together (Holm)."
            )
        )
    elif not priced:
        notes.append(note("Without a margin there is no value and no verdict: channels are compared in days."))
    return notes


def _typed(rows: list[dict[str, Any]]) -> pd.DataFrame:
    frame = frame_of("channel_value", rows)
    return frame.assign(verdict=frame["verdict"].astype(object).where(frame["verdict"].notna(), None))
