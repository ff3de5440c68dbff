"""Rewards that are released when a user invests again: how much, on which condition, and what they will cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.rule import days_of
from churnsurv.errors import InputError, did_you_mean
from churnsurv.survival.frames import as_frame, numeric_column

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.action.rewards_forecast import RewardForecast
    from churnsurv.data.log import ActivityLog

__all__ = ["REASONS", "RewardRule"]

Floats = NDArray[np.float64]

#: Why a user gets no reward.
REASONS: Mapping[str, str] = MappingProxyType(
    {
        "total_unknown": "what was invested before is not known",
        "balance_unknown": "the balance is not known",
        "nothing_invested": "nothing was invested before",
        "balance_not_below": "the balance is not below the limit",
        "over_budget": "the reward no longer fits into the budget",
    }
)


@dataclass(frozen=True, slots=True)
class RewardRule:
    """A reward in proportion to past investing, released only when a part of it is invested again.

    The default is the rule of the case: who invested 100,000 in total and holds less than 100 now is promised 1,000,
    released once 10,000 are invested within 30 days. The reward is ``share`` of what was invested in total, not below
    `floor` and not above `cap`. The condition is ``reinvest`` of the total; where `floor` raises a reward, it raises
    the condition by the same factor, so that nobody gets a floor for investing next to nothing.

    Attributes
    ----------
    share : float
        Reward as a share of all that was invested, above 0 and not above `reinvest`.
    reinvest : float
        What must be invested again, as a share of all that was invested; above 0.
    balance_below : float
        Only users whose balance is below it.
    floor, cap : float
        Least and largest reward; `cap` None for none.
    within : int or text such as "30d"
        Days after the contact in which the condition must be met.
    budget : float or None
        Promised rewards may add up to so much: see `within_budget`.

    Raises
    ------
    InputError
        If the parts do not make a rule.

    Examples
    --------
    >>> import pandas as pd
    >>> users = pd.DataFrame({"total_amount": [100_000, 100_000, 0], "balance": [99.99, 100, 0]})
    >>> RewardRule().amounts(users)
       reward  reward_condition             reason
    0  1000.0           10000.0               None
    1     NaN               NaN  balance_not_below
    2     NaN               NaN   nothing_invested
    """

    share: float = 0.01
    reinvest: float = 0.1
    balance_below: float = 100.0
    floor: float = 0.0
    cap: float | None = None
    within: int = 30
    budget: float | None = None

    def __post_init__(self) -> None:
        for name in ("share", "reinvest", "balance_below", "floor", "cap", "budget"):
            value = getattr(self, name)
            if value is None and name in {"cap", "budget"}:
                continue
            object.__setattr__(self, name, _number(name, value, above=name in {"share", "reinvest", "cap"}))
        object.__setattr__(self, "within", days_of(self.within, "RewardRule: within", least=1))
        if self.share > self.reinvest:
            raise InputError(
                f"RewardRule: share ({self.share:g}) is above reinvest ({self.reinvest:g}), so that the reward is "
                "larger than what has to be invested for it. Raise reinvest or lower share."
            )
        if self.cap is not None and self.cap < self.floor:
            raise InputError(f"RewardRule: cap ({self.cap:g}) is below floor ({self.floor:g}). Swap them.")

    def amounts(self, table: Any) -> pd.DataFrame:
        """Work out the reward of each user, and what must be invested for it.

        Parameters
        ----------
        table : table
            `total_amount` (invested in total) and `balance`, one row a user; other columns are not looked at.

        Returns
        -------
        DataFrame
            `reward, reward_condition` (null where there is none) and `reason` (a key of `REASONS`; null where the
            reward is granted), row by row in the order and with the index of `table`. Amounts are rounded to a
            millionth, as those of the log are. The budget is not looked at: see `within_budget`.

        Raises
        ------
        SchemaError
            If a column is missing, or holds something else than numbers.
        """
        import pandas as pd

        frame = as_frame(table, columns=[], needed=["total_amount", "balance"], what="rewards")
        total, balance = (
            numeric_column(frame, name, "amounts").astype(np.float64) for name in ("total_amount", "balance")
        )
        unknown = ~np.isfinite(total)
        reason, granted = np.full(len(frame), None, dtype=object), np.ones(len(frame), dtype=np.bool_)
        # Where several hold, the last is told.
        for code, holds in (
            ("balance_not_below", balance >= self.balance_below),
            ("balance_unknown", ~np.isfinite(balance)),
            ("nothing_invested", total <= 0),
            ("total_unknown", unknown),
        ):
            reason[holds] = code
            granted &= ~holds
        reward = np.clip(self.share * np.where(unknown, 0.0, total), self.floor, self.cap)
        condition = self.reinvest * np.maximum(np.where(unknown, 0.0, total), reward / self.share)
        columns = {"reward": reward, "reward_condition": condition}
        made = {name: np.where(granted, np.round(values, 6), np.nan) for name, values in columns.items()}
        return pd.DataFrame({**made, "reason": pd.Series(reason, index=frame.index, dtype=object)}, index=frame.index)

    def within_budget(self, rewards: pd.DataFrame, *, spent: float = 0.0) -> pd.DataFrame:
        """Grant rewards in the order of the rows as long as they fit into the budget.

        A promise counts in full, whether it will be released or not, so that the budget is never exceeded. A reward
        that no longer fits is passed over; a smaller one after it may still fit.

        Parameters
        ----------
        rewards : DataFrame
            What `amounts` returned; most urgent first.
        spent : float
            What was promised before.

        Returns
        -------
        DataFrame
            The same, where rewards that do not fit are null, with the reason "over_budget".

        Examples
        --------
        >>> import pandas as pd
        >>> rule = RewardRule(budget=1_500)
        >>> users = pd.DataFrame({"total_amount": [100_000, 100_000, 50_000], "balance": 0})
        >>> rule.within_budget(rule.amounts(users))
           reward  reward_condition       reason
        0  1000.0           10000.0         None
        1     NaN               NaN  over_budget
        2   500.0            5000.0         None
        """
        made = rewards.copy()
        if self.budget is None:
            return made
        left = _millionths(self.budget) - _millionths(_number("spent", spent))
        amounts = made["reward"].to_numpy(dtype=np.float64)
        over = np.zeros(amounts.size, dtype=np.bool_)
        for place in np.flatnonzero(~np.isnan(amounts)):
            needed = _millionths(amounts[place])
            over[place] = needed > left
            left -= 0 if over[place] else needed
        made.loc[over, ["reward", "reward_condition"]] = np.nan
        made.loc[over, "reason"] = "over_budget"
        return made

    def forecast(
        self, log: ActivityLog, *, as_of: date | str, margin: Any = None, level: float = 0.95
    ) -> RewardForecast:
        """Say what the rewards will cost, and how many more must invest again to pay for them.

        Of the users who met the condition of this rule `within` days before `as_of`, the share who then invested
        enough anyway is what would be paid for nothing. See `rewards_forecast.RewardForecast`.

        Parameters
        ----------
        log : ActivityLog
        as_of : date or ISO text
            Nothing after the end of this day is looked at.
        margin : number, table or name of a column of the users, optional
            What it is worth that a user invests enough again, before the reward; a table has `user_id, margin`.
            Without it there is no break-even lift.
        level : float
            Confidence level of the limits.

        Returns
        -------
        RewardForecast
        """
        from churnsurv.action.rewards_forecast import forecast

        return forecast(self, log, as_of=as_of, margin=margin, level=level)

    def to_plain(self) -> dict[str, Any]:
        """The rule as plain data, for JSON or TOML; what is None is left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> RewardRule:
        """Make a rule from plain data; what is not there has its default.

        Raises
        ------
        InputError
            If a key is unknown (the nearest is given) or a value makes no sense.

        Examples
        --------
        >>> RewardRule.from_plain({"share": 0.02, "cap": 500})
        RewardRule(share=0.02, reinvest=0.1, balance_below=100.0, floor=0.0, cap=500.0, within=30, budget=None)
        """
        if not isinstance(plain, Mapping):
            raise InputError(f"A reward is a table of keys, such as {{share = 0.01}}; it is {plain!r}.")
        keys = [each.name for each in fields(cls)]
        for key in plain:
            if key not in keys:
                hint = did_you_mean(str(key), keys)
                raise InputError(f"reward: there is no key {key!r}.{hint} Keys: {', '.join(keys)}.")
        return cls(**plain)


def _number(name: str, value: object, *, above: bool = False) -> float:
    fine = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    number = float(value) if fine else math.nan  # type: ignore[arg-type]
    if not 0 <= number < math.inf or (above and number == 0):
        least = "above 0" if above else "of at least 0"
        raise InputError(f"RewardRule: {name} must be a finite number {least}; it is {value!r}.")
    return number


def _millionths(amount: float) -> int:
    """Money as whole millionths: sums of them are exact."""
    return round(float(amount) * 1_000_000)
