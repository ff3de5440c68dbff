"""What channels cost: amounts by channel or user, and rewards that rise from day to day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.diagnosis.dated import amounts_of, days_of_dates
from churnsurv.diagnosis.naming import quoted
from churnsurv.errors import InputError, SchemaError, did_you_mean, require_columns
from churnsurv.notes import note
from churnsurv.survival.frames import as_frame, counted
from churnsurv.tables.said import said_list

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd

    from churnsurv.data.clock import Clock
    from churnsurv.data.user_days import UserDays

__all__ = ["Flow", "ProgressiveReward", "costs_by_channel", "flow_of"]

Floats: TypeAlias = NDArray[np.float64]

_TABLES: Mapping[str, str] = {"costs": note("costs"), "margin": note("margin"), "rewards": note("rewards")}


@dataclass(frozen=True, slots=True)
class ProgressiveReward:
    """A reward for new users that rises as long as new ones come day after day: 1, 3, 5, ...

    The k-th consecutive day with a new user pays ``first + step * (k - 1)``, however many come on it; a day without
    ends the run, and the next one begins with `first`.

    Attributes
    ----------
    first, step : float
        Money for the first day, and by how much each further day pays more.
    most : float or None
        A day pays at most this.
    referrer : str or None
        Column of the users with the one who brought them: each referrer has runs of his own, users without one earn
        nobody anything. Without it the whole channel is one referrer.

    Examples
    --------
    Three days in a row and, after a pause, one more: 1 + 3 + 5 + 1.

    >>> ProgressiveReward().total(np.array([0, 1, 1, 2, 4]))
    10.0
    """

    first: float = 1.0
    step: float = 2.0
    most: float | None = None
    referrer: str | None = None

    def __post_init__(self) -> None:
        for name, value in (("first", self.first), ("step", self.step), ("most", self.most)):
            if value is None and name == "most":
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < np.inf:
                raise InputError(f"ProgressiveReward: {name} must be a number of at least 0; it is {value!r}.")

    def total(self, days: NDArray[np.int64], referrer: NDArray[Any] | None = None) -> float:
        """Add up the rewards.

        Parameters
        ----------
        days : (n,) int64
            Day of each registration, in any order.
        referrer : (n,) integer, optional
            Who brought each user; negative for nobody.
        """
        who = np.zeros(days.size, dtype=np.int64) if referrer is None else referrer.astype(np.int64)
        pairs = np.unique(np.column_stack([who, days])[who >= 0], axis=0)
        if len(pairs) == 0:
            return 0.0
        begins = np.concatenate([[True], (np.diff(pairs[:, 0]) != 0) | (np.diff(pairs[:, 1]) != 1)])
        place = np.arange(len(pairs))
        run = place - np.maximum.accumulate(np.where(begins, place, 0))
        paid = self.first + self.step * run
        return float((paid if self.most is None else np.minimum(paid, self.most)).sum())


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """Money of users by day since registration: positions of users, days, amounts, and what could not be used."""

    user: NDArray[np.int64]
    day: NDArray[np.int64]
    amount: Floats
    notes: tuple[str, ...]


def flow_of(table: Any, column: str, days: UserDays, what: str, clock: Clock, *, least: float | None = None) -> Flow:
    """Read a table `user_id, date` and an amount, as days since registration.

    Parameters
    ----------
    table : table
    column : str
        The amount.
    days : UserDays
        The users, and to which day they were followed.
    what : str
        What errors and notes call the table.
    clock : Clock
        Of the log.
    least : float, optional
        Amounts below it are refused.

    Raises
    ------
    InputError
        If a date cannot be read, an amount is missing, no finite number or too low, or no row is of a user of the log.
    """
    import pandas as pd

    frame = as_frame(table, needed=["user_id", "date", column], what=what)
    amount = amounts_of(frame, column, what, least=least)
    moment = days_of_dates(frame["date"], clock, what)
    ids = pd.Index(days.user_id.to_pandas().astype(str))
    user = ids.get_indexer(frame["user_id"].astype(str))
    day = (moment - days.registered[user]).astype(np.int64)
    unknown = user < 0
    if len(frame) and unknown.all():
        raise InputError(
            f"{what}: no row is of a user who registered in the log; the first 'user_id' is "
            f"{frame['user_id'].iloc[0]!r}, and the log has {ids[0]!r}."
        )
    outside = ~unknown & ((day < 0) | (day > days.followed[user]))
    notes = [
        note(
            "{table}: {rows} {why} {are} left out.",
            table=_TABLES.get(what, what),
            rows=counted(int(bad.sum()), "row"),
            why=why,
            are="is" if bad.sum() == 1 else "are",
        )
        for bad, why in (
            (unknown, note("of users who did not register in the log")),
            (outside, note("before registration or after the log")),
        )
        if bad.any()
    ]
    kept = ~unknown & ~outside
    return Flow(user[kept].astype(np.int64), day[kept], amount[kept], tuple(notes))


def costs_by_channel(
    costs: Any,
    rewards: Mapping[str, ProgressiveReward],
    users: pd.DataFrame,
    by: str,
    channels: Sequence[str],
    codes: NDArray[np.int64],
    notes: list[str],
    *,
    window: tuple[date, date],
    clock: Clock,
) -> Floats:
    """Return the acquisition cost of a user of each channel, null where it is not known.

    Parameters
    ----------
    costs : table or None
        The column `by`, and `cost_per_user`, or `amount` (all that was paid for the channel's users of the log, in any
        number of rows; where there is a `date`, rows outside the window are not counted).
    rewards : mapping of channel to ProgressiveReward
        Paid on top.
    users : DataFrame
        One row a user, with `origin`, the day of registration.
    by : str
    channels : sequence of str
    codes : (n,) int64
        The channel of each user.
    notes : list of str
        What is missing is added to it.
    window : pair of date
        First and last day of the log.
    clock : Clock
        Of the log.

    Raises
    ------
    InputError
        If a channel is named that no user has but looks like one, twice, or a cost is negative or missing.
    """
    sizes = np.bincount(codes, minlength=len(channels)).astype(np.float64)
    found = {}
    if costs is not None:
        frame = _in_window(as_frame(costs, needed=[by], what="costs"), window, clock, notes)
        found = dict(_stated(frame, by, channels, sizes, notes))
    _same_names(found, channels, "costs", notes)
    _same_names(rewards, channels, "rewards", notes)
    cost = np.array([found.get(channel, np.nan) for channel in channels])
    for place, channel in enumerate(channels):
        if channel not in rewards:
            continue
        paid = _paid(rewards[channel], users[codes == place])
        cost[place] = (0.0 if np.isnan(cost[place]) else cost[place]) + paid / sizes[place]
    lacking = [channel for channel, value in zip(channels, cost, strict=True) if np.isnan(value)]
    if lacking and (costs is not None or rewards):
        said = said_list([quoted(channel) for channel in lacking])
        notes.append(note("No cost is known of {channels}: no value and no verdict for it.", channels=said))
    return cost


def _in_window(frame: pd.DataFrame, window: tuple[date, date], clock: Clock, notes: list[str]) -> pd.DataFrame:
    """The costs of days inside the log: what was paid for others, or is not known yet, is no cost of its users."""
    if "amount" not in frame.columns or "cost_per_user" in frame.columns or "date" not in frame.columns:
        return frame
    day = days_of_dates(frame["date"], clock, "costs")
    inside = (day >= np.datetime64(window[0], "D")) & (day <= np.datetime64(window[1], "D"))
    if not inside.all():
        n = int((~inside).sum())
        notes.append(
            note(
                "costs: {rows} {are} dated outside the log, {first} to {last}, and left out.",
                rows=counted(n, "row"),
                are="is" if n == 1 else "are",
                first=window[0],
                last=window[1],
            )
        )
    return frame[inside]


def _stated(
    frame: pd.DataFrame, by: str, channels: Sequence[str], sizes: Floats, notes: list[str]
) -> Iterator[tuple[str, float]]:
    """The cost of a user by channel, as the table has it."""
    column = next((name for name in ("cost_per_user", "amount") if name in frame.columns), None)
    if column is None:
        require_columns("costs", ["cost_per_user"], frame.columns)
        raise SchemaError("costs: 'cost_per_user' or 'amount' is needed.")
    values = amounts_of(frame, column, "costs", least=0)
    names = frame[by].astype(str).to_numpy()
    if column == "cost_per_user":
        twice = [name for name, n in zip(*np.unique(names, return_counts=True), strict=True) if n > 1]
        if twice:
            raise InputError(f"costs: {by} {twice[0]!r} has several rows of 'cost_per_user'. Keep one.")
        yield from zip(names.tolist(), values.tolist(), strict=True)
        return
    notes.append(note("Costs are the sums of 'amount' over the users registered in the log."))
    for name in dict.fromkeys(names.tolist()):
        n = sizes[channels.index(name)] if name in channels else np.nan
        yield name, float(values[names == name].sum()) / n


def _same_names(found: Mapping[str, object], channels: Sequence[str], what: str, notes: list[str]) -> None:
    """Raise where a name looks misspelt; say so where it is unknown."""
    unknown = [name for name in found if name not in channels]
    for name in unknown:
        hint = did_you_mean(name, [channel for channel in channels if channel not in found])
        if hint:
            raise InputError(f"{what}: no user has the channel {name!r}.{hint}")
    if unknown:
        said = said_list([quoted(name) for name in unknown])
        notes.append(note("{table}: no user in the log has {names}.", table=_TABLES.get(what, what), names=said))


def _paid(reward: ProgressiveReward, users: pd.DataFrame) -> float:
    days = users["origin"].to_numpy().astype("datetime64[D]").astype(np.int64)
    if reward.referrer is None:
        return reward.total(days)
    require_columns("users", [reward.referrer], users.columns)
    return reward.total(days, users[reward.referrer].astype("category").cat.codes.to_numpy())
