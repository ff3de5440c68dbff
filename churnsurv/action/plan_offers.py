"""What each contact offers: the first offer whose conditions hold, with its message and its reward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.action.plan_inputs import NO_DAY
from churnsurv.errors import SchemaError
from churnsurv.survival.frames import numeric_column
from churnsurv.warning.alerts_table import nine_digits

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.action.plan_history import History
    from churnsurv.action.plan_inputs import Alerted
    from churnsurv.action.policy import Policy
    from churnsurv.action.policy_parts import Offer
    from churnsurv.action.policy_reading import Comparison

__all__ = ["Offered", "offered"]

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Days: TypeAlias = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True, eq=False)
class Offered:
    """What m contacts offer.

    Attributes
    ----------
    offer : (m,) int64
        Place among the offers of the policy; -1 for none.
    message : (m,) object
        None for none.
    reward, reward_condition : (m,) float64
        NaN where nothing is newly promised.
    promised_until : (m,) datetime64[D]
    """

    offer: Ints
    message: NDArray[np.object_]
    reward: Floats
    reward_condition: Floats
    promised_until: Days


def offered(rows: Ints, alerts: Alerted, policy: Policy, known: History) -> Offered:
    """Find the offer of each contact; `rows` are those of the alerts that are contacted, most urgent first.

    While a promise of a user is open, no other reward is promised: its own offer is repeated without a new one, and
    other offers with a reward do not fit.
    """
    frame = alerts.frame.iloc[rows]
    m = rows.size
    offer = np.full(m, -1, dtype=np.int64)
    reward, condition = np.full(m, np.nan), np.full(m, np.nan)
    until = np.full(m, NO_DAY)
    promised = known.promised_by[rows]
    for i, each in enumerate(policy.offers):
        fits = (offer < 0) & _holds(each.when, frame)
        if each.reward is not None:
            repeated = fits & (promised == i)
            asked = np.flatnonzero(fits & (promised < 0))
            made = each.reward.amounts(frame.iloc[asked][["total_amount", "balance"]])
            made = each.reward.within_budget(made, spent=known.spent.offers[each.name])
            granted = made["reward"].notna().to_numpy()
            to = asked[granted]
            reward[to] = nine_digits(made["reward"].to_numpy(dtype=np.float64)[granted])
            condition[to] = nine_digits(made["reward_condition"].to_numpy(dtype=np.float64)[granted])
            until[to] = np.datetime64(alerts.contact_on, "D") + (each.reward.within - 1)
            fits = repeated
            fits[to] = True
        offer[fits] = i
    return Offered(offer, _messages(policy.offers, offer, known.in_silence[rows]), reward, condition, until)


def _holds(when: Sequence[Comparison], frame: pd.DataFrame) -> Flags:
    """Whether all conditions hold; a missing value fulfils none, as in SQL."""
    found = np.ones(len(frame), dtype=np.bool_)
    for each in when:
        found &= _compared(each, frame)
    return found


def _compared(asked: Comparison, frame: pd.DataFrame) -> Flags:
    column = frame[asked.variable]
    if isinstance(asked.value, str):
        there = column.notna().to_numpy()
        same = column.astype(object).where(there, None).map(str).to_numpy() == asked.value
        return np.asarray(there & (same if asked.sign == "==" else ~same))
    try:
        values = numeric_column(column.to_frame(), asked.variable, "numbers").astype(np.float64)
    except SchemaError as error:
        raise SchemaError(f"alerts: an offer compares {asked}, and {error}") from error
    compare: Any = {
        "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "==": np.equal, "!=": np.not_equal,
    }[asked.sign]  # fmt: skip
    return np.asarray(compare(values, asked.value) & ~np.isnan(values))


def _messages(offers: Sequence[Offer], offer: Ints, before: Ints) -> NDArray[np.object_]:
    """The message of the first, second, ... contact of the silence; the last one goes on."""
    found = np.full(offer.size, None, dtype=object)
    for i, each in enumerate(offers):
        if not each.messages:
            continue
        of_offer = offer == i
        place = np.minimum(before[of_offer], len(each.messages) - 1)
        found[of_offer] = np.array(each.messages, dtype=object)[place]
    return found
