"""What the contacts of a plan cost, what they promise, and how many returns pay for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from churnsurv.errors import InputError, did_you_mean, require_columns
from churnsurv.survival.frames import as_frame
from churnsurv.tables import schema

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.action.policy import Policy

__all__ = ["base_shares", "plan_costs"]

ALL = "(all)"


def base_shares(forecasts: Any, policy: Policy) -> dict[str, float]:
    """The share of each offer's rewards that is released at least, from forecasts of its rule.

    Parameters
    ----------
    forecasts : Mapping of offer to RewardForecast or its table; or None
        Of the forecast's users in all states, the lower limit of those who would have invested enough anyway.

    Raises
    ------
    InputError
        If an offer is none of the policy's with a reward.
    """
    if forecasts is None:
        return {}
    with_reward = [offer.name for offer in policy.offers if offer.reward is not None]
    if not isinstance(forecasts, Mapping):
        raise InputError(
            "forecasts is a mapping from an offer to what its reward rule forecast: {'envelope': forecast}."
        )
    found = {}
    for name, forecast in forecasts.items():
        if name not in with_reward:
            hint = did_you_mean(str(name), with_reward)
            listed = ", ".join(map(repr, with_reward)) or "none"
            raise InputError(f"forecasts: no offer {name!r} has a reward.{hint} Offers with one: {listed}.")
        table = as_frame(forecast, what=f"forecasts[{name!r}]")
        require_columns(f"forecasts[{name!r}]", ("state", "base_lower"), table.columns)
        every = table.loc[table["state"] == "all", "base_lower"]
        found[str(name)] = float(every.iloc[0]) if len(every) and np.isfinite(every.iloc[0]) else 0.0
    return found


def plan_costs(contacts: pd.DataFrame, margin: Any, policy: Policy, least: Mapping[str, float]) -> pd.DataFrame:
    """One row for each channel and offer of the contacts, and one for all; schema "plan_costs".

    Parameters
    ----------
    contacts : DataFrame
        Rows of the plan that are contacted.
    margin : (n,) float64
        What each of these users is worth; NaN where it is not known.
    policy : Policy
    least : Mapping of offer to float
        Share of its rewards that is released at least.
    """
    import pandas as pd

    offers = [offer.name for offer in policy.offers]
    channel = pd.Categorical(contacts["channel"], categories=list(policy.channels)).codes
    offer = pd.Categorical(contacts["offer"], categories=offers).codes
    offer = np.where(offer < 0, len(offers), offer)
    reward = np.nan_to_num(contacts["reward"].to_numpy(dtype=np.float64))
    share = np.array([*(least.get(name, 0.0) for name in offers), 0.0])
    numbers = pd.DataFrame(
        {
            "contact_cost": contacts["cost"].to_numpy(dtype=np.float64),
            "promised": reward,
            "release_lower": reward * share[offer],
            "margin": margin,
        }
    )
    rows = []
    for key in np.unique(np.stack([channel, offer], axis=1), axis=0):
        mine = ((channel == key[0]) & (offer == key[1])).nonzero()[0]
        name = None if key[1] == len(offers) else offers[key[1]]
        rows.append({"channel": list(policy.channels)[key[0]], "offer": name, **_sums(numbers.iloc[mine])})
    rows.append({"channel": ALL, "offer": None, **_sums(numbers)})
    return pd.DataFrame(rows, columns=list(schema("plan_costs").names)).astype({"channel": object, "offer": object})


def _sums(numbers: pd.DataFrame) -> dict[str, float]:
    n = len(numbers)
    known = numbers["margin"].dropna()
    cost, promised, least = (_total(numbers[name]) for name in ("contact_cost", "promised", "release_lower"))
    value = float(known.mean()) if len(known) else np.nan
    pays = 1_000.0 / (n * value) if n and value > 0 else np.nan
    sums = {
        "contact_cost": cost,
        "promised": promised,
        "release_lower": least,
        "release_upper": promised,
        "value_per_return": value,
        "break_even": (cost + promised) * pays,
        "break_even_lower": (cost + least) * pays,
    }
    return {"n": n, **{name: float(f"{each:.9g}") for name, each in sums.items()}}


def _total(money: pd.Series[Any]) -> float:
    """Added up as whole millionths, so that the order of the rows does not matter."""
    return float(np.round(money.to_numpy(dtype=np.float64) * 1e6).astype(np.int64).sum()) / 1e6
