"""What is odd about users who came back: a reward taken and withdrawn, or amounts that are not like their own past."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.own_past import own_past
from churnsurv.tables import schema

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data.after_contact import AfterContact, Money

__all__ = ["LEAST_PAST", "ODD", "REASONS", "Judged", "judged"]

Ints: TypeAlias = NDArray[np.int64]
Days: TypeAlias = NDArray[np.datetime64]

#: Users with fewer investments before are not judged by their amounts.
LEAST_PAST = 5
#: A user who is as before is listed for his amounts with this chance at most.
ODD = 0.01
#: Part of what was invested for a reward that is redeemed soon after its release.
_WITHDRAWN = 0.5
#: Investments on one day: at least so many, and more than so many times the most on one day before.
_MANY, _TIMES = 5, 3

#: When each reason is told.
REASONS: Mapping[str, str] = MappingProxyType(
    {
        "reward_withdrawn": "a reward was released, and within {days} days at least half of what had been invested for "
        "it was redeemed",
        "reward_late": "a reward was released after the promise had ended",
        "rewards_again": "the user has taken rewards of two campaigns or more",
        "amount_far": "an investment after the return is so far from the user's own amounts before (at least "
        f"{LEAST_PAST}) that one in {round(1 / ODD):,} users who are as before has such a one, at most",
        "many_in_a_day": f"{_MANY} investments or more on one day, and more than {_TIMES} times the most on one day "
        "before",
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What is odd, and how many could be judged.

    Attributes
    ----------
    found : DataFrame
        `row` (position of the return) and the columns of "recalled_anomalies" from `reason` on.
    watch : DataFrame
        Schema "recalled_watch".
    """

    found: pd.DataFrame
    watch: pd.DataFrame


@dataclass(frozen=True, slots=True, eq=False)
class _Returns:
    """Days of the returns: of assignment, of the return, and the last one of the watch."""

    day: Days
    returned: Days
    last: Days


def judged(after: AfterContact, *, last: Days, end: np.datetime64, within: int) -> Judged:
    """Look for what is odd in each return.

    Parameters
    ----------
    after : AfterContact
    last : (n,) datetime64[D]
        Last day of the watch of each return.
    end : datetime64[D]
        Last day of the log.
    within : int
        Days after the release of a reward in which a redemption counts.
    """
    import pandas as pd

    days = {name: after.returns[name].to_numpy().astype("datetime64[D]") for name in ("day", "returned_on")}
    returns = _Returns(days["day"], days["returned_on"], last)
    parts = {
        "reward_withdrawn": _withdrawn(after, returns, end, within),
        "reward_late": _late(after),
        "rewards_again": _again(after),
        "amount_far": _far(after.money, returns),
        "many_in_a_day": _many(after.money, returns),
    }
    chance = {"reward_withdrawn": _usually_withdrawn(after.money, returns, within), "amount_far": ODD}
    watch = [
        {
            "reason": reason,
            "n_judged": n_judged,
            "n_listed": int(rows["row"].nunique()),
            "expected_false": n_judged * chance.get(reason, np.nan),
            "words": REASONS[reason].format(days=within),
        }
        for reason, (rows, n_judged) in parts.items()
    ]
    found = pd.concat([rows.assign(reason=reason) for reason, (rows, _) in parts.items()], ignore_index=True)
    found = found.sort_values(["row", "reason", "date"], kind="stable", ignore_index=True)
    columns = ["row", *schema("recalled_anomalies").names[2:]]
    return Judged(found[columns], pd.DataFrame(watch)[list(schema("recalled_watch").names)])


def _rows(row: Ints, date: Days, value: Any, expected: Any, p_value: Any, words: list[str]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {
            "row": row.astype(np.int64),
            "date": date.astype("datetime64[s]"),
            "value": np.broadcast_to(np.asarray(value, dtype=np.float64), row.shape),
            "expected": np.broadcast_to(np.asarray(expected, dtype=np.float64), row.shape),
            "p_value": np.broadcast_to(np.asarray(p_value, dtype=np.float64), row.shape),
            "words": pd.Series(words, dtype=object),
        }
    )


def _released(after: AfterContact) -> tuple[Ints, Days, Days, NDArray[np.float64]]:
    """Row, day of release, last day of the promise and amount of rewards that were released."""
    row = after.rewards["row"].to_numpy().astype(np.int64)
    on, until = (_days(after.rewards[name]) for name in ("released_on", "until"))
    amount = after.rewards["amount"].to_numpy().astype(np.float64)
    there = ~np.isnat(on)
    return row[there], on[there], until[there], amount[there]


def _days(column: Any) -> Days:
    days: Days = column.to_pandas().to_numpy(dtype="datetime64[D]")
    return days


def _withdrawn(after: AfterContact, returns: _Returns, end: np.datetime64, within: int) -> tuple[pd.DataFrame, int]:
    row, on, _, amount = _released(after)
    money = after.money
    invested = _between(money, row, returns.day[row], on, invests=True)
    redeemed = _between(money, row, on, on + within, invests=False)
    odd = (invested > 0) & (redeemed >= _WITHDRAWN * invested)
    can = (invested > 0) & (odd | (on + within <= end))
    words = [
        f"reward of {a:,.2f} released on {d}, after {i:,.2f} were invested; {r:,.2f} redeemed within {within} days"
        for a, d, r, i in zip(amount[odd], on[odd], redeemed[odd], invested[odd], strict=True)
    ]
    date = _last_redeemed(money, row[odd], on[odd], on[odd] + within)
    rows = _rows(row[odd], date, redeemed[odd], _WITHDRAWN * invested[odd], np.nan, words)
    return rows, int(np.unique(row[can]).size)


def _usually_withdrawn(money: Money, returns: _Returns, within: int) -> float:
    """Share of the days with investments before the assignment on which half was redeemed as soon; null without any."""
    past = money.invests & money.before & (money.day + within < returns.day[money.row])
    if not past.any():
        return np.nan
    pairs = np.unique(_keys(money.row[past], money.day[past]), return_index=True)[1]
    row, day = money.row[past][pairs], money.day[past][pairs]
    invested = _between(money, row, day, day, invests=True, before=True)
    redeemed = _between(money, row, day, day + within, invests=False, before=True)
    return float(((invested > 0) & (redeemed >= _WITHDRAWN * invested)).mean())


def _between(
    money: Money, row: Ints, first: Days, last: Days, *, invests: bool, before: bool = False
) -> NDArray[np.float64]:
    """What was invested, or redeemed, from one day to another, both included, after the assignment or before it."""
    kept = (money.invests == invests) & (money.before == before)
    key, up_to = _keys(money.row[kept], money.day[kept]), np.concatenate([[0.0], np.cumsum(money.amount[kept])])
    low, high = np.searchsorted(key, _keys(row, first), "left"), np.searchsorted(key, _keys(row, last), "right")
    between: NDArray[np.float64] = np.round(up_to[high] - up_to[low], 6)
    return between


def _last_redeemed(money: Money, row: Ints, first: Days, last: Days) -> Days:
    kept = ~money.invests & ~money.before
    key, day = _keys(money.row[kept], money.day[kept]), money.day[kept]
    place = np.searchsorted(key, _keys(row, last), "right") - 1
    return np.maximum(day[place], first) if row.size else first


def _keys(row: Ints, day: Days) -> Ints:
    """One number for a row and a day, ascending in the order of `Money`."""
    keys: Ints = row * 10_000_000 + day.astype(np.int64)
    return keys


def _late(after: AfterContact) -> tuple[pd.DataFrame, int]:
    row, on, until, amount = _released(after)
    dated = ~np.isnat(until)
    odd = dated & (on > until)
    days = (on - until).astype(np.int64)
    words = [
        f"reward of {a:,.2f} released on {d}, {n} days after {u}, the last day of the promise"
        for a, d, n, u in zip(amount[odd], on[odd], days[odd], until[odd], strict=True)
    ]
    return _rows(row[odd], on[odd], days[odd], 0, np.nan, words), int(np.unique(row[dated]).size)


def _again(after: AfterContact) -> tuple[pd.DataFrame, int]:
    """The rows of users with released rewards in several campaigns, but for the first of each."""
    import pandas as pd

    row, on, _, _ = _released(after)
    released = pd.DataFrame({"row": row, "on": on.astype("datetime64[s]")})
    each: pd.DataFrame = released.sort_values(["row", "on"], kind="stable").drop_duplicates("row")
    each["user"] = pd.factorize(after.returns["user_id"].to_pandas())[0][each["row"]]
    each = each.sort_values(["user", "on", "row"], kind="stable")
    number = each.groupby("user").cumcount().to_numpy() + 1
    odd = number > 1
    words = [f"reward number {n} of the user, each of another campaign" for n in number[odd]]
    date = each["on"].to_numpy()[odd]
    return _rows(each["row"].to_numpy()[odd], date, number[odd], 1, np.nan, words), len(each)


def _far(money: Money, returns: _Returns) -> tuple[pd.DataFrame, int]:
    later = np.flatnonzero(_later(money, returns))
    past = money.invests & money.before
    found = own_past(money.row[past], money.amount[past], money.row[later], money.amount[later], least=LEAST_PAST)
    odd = found.p_value <= ODD
    place = later[found.place[odd]]
    words = [
        f"invested {value:,.2f} on {day}, where {usual:,.2f} was usual ({value / usual:,.3g} times)"
        for value, day, usual in zip(money.amount[place], money.day[place], found.usual[odd], strict=True)
    ]
    rows = _rows(found.user[odd], money.day[place], money.amount[place], found.usual[odd], found.p_value[odd], words)
    return rows, int(found.user.size)


def _later(money: Money, returns: _Returns) -> NDArray[np.bool_]:
    """Investments from the return to the end of the watch."""
    inside = (money.day >= returns.returned[money.row]) & (money.day <= returns.last[money.row])
    return money.invests & ~money.before & inside


def _many(money: Money, returns: _Returns) -> tuple[pd.DataFrame, int]:
    """The day with the most investments of each return, where these are too many."""
    later = _later(money, returns)
    n = returns.day.size
    most_before, _ = _most_on_a_day(money, money.invests & money.before, n)
    most, day = _most_on_a_day(money, later, n)
    usual = np.maximum(most_before, 1)
    odd = np.flatnonzero((most >= _MANY) & (most > _TIMES * usual))
    words = [
        f"{k} investments on {d}, where the most on one day before was {u}"
        for k, d, u in zip(most[odd], day[odd], most_before[odd], strict=True)
    ]
    return _rows(odd, day[odd], most[odd], most_before[odd], np.nan, words), int(np.unique(money.row[later]).size)


def _most_on_a_day(money: Money, which: NDArray[np.bool_], n: int) -> tuple[Ints, Days]:
    """By return the largest number of investments on one day, and the first such day."""
    row, day = money.row[which], money.day[which]
    first = np.flatnonzero((np.diff(row, prepend=-1) != 0) | (np.diff(day.astype(np.int64), prepend=-1) != 0))
    number = np.diff(np.append(first, row.size))
    most, on = np.zeros(n, dtype=np.int64), np.full(n, np.datetime64("NaT", "D"))
    order = np.lexsort((day[first], -number, row[first]))
    best = order[np.flatnonzero(np.diff(row[first][order], prepend=-1))]
    most[row[first][best]], on[row[first][best]] = number[best], day[first][best]
    return most, on
