"""Size of the checks before the lift of a campaign: arms drawn at random, and nothing wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from churnsurv.data.assigned import CampaignRows
from churnsurv.recall.lift_checks import checks
from tests.recall.campaign import made_rows

from .figures import Figure, replications, size

__all__ = ["EXPERIMENTS", "campaign_checks"]

HORIZON = 14
PLANS = {
    "1,000 users, hold-out 10 %": (1_000, {"holdout": 0.1, "sms": 0.9}, 1),
    "600 users, four arms, three strata": (600, {"holdout": 0.4, "push": 0.3, "sms": 0.2, "voucher": 0.1}, 3),
}
TESTED = ("sample ratio", "share over time", "follow-up", "balance")


def campaign_checks(n: int) -> list[Figure]:
    """Rejections at 5 % of each check, with rare, skewed and heavy-tailed variables; some users followed for less."""
    figures = []
    for case, (users, shares, strata) in PLANS.items():
        found: dict[str, list[float]] = {check: [] for check in TESTED}
        for rng in replications(f"checks {case}", n):
            table = checks(_drawn(rng, users, shares, strata), control="holdout", shares=shares)
            p = table.set_index("check")["p_value"]
            for check in TESTED:
                found[check].append(float(p[check]))
        figures += [size(f"{case}: {check}", values) for check, values in found.items()]
    return figures


def _drawn(rng: np.random.Generator, n: int, shares: dict[str, float], strata: int) -> CampaignRows:
    arms = tuple(sorted(shares))
    day = np.sort(rng.integers(0, 42, n))
    money = np.where(rng.random(n) < 0.2, np.exp(2 * rng.standard_normal(n)), 0.0)
    rows = made_rows(
        time=np.full(n, HORIZON),
        returned=np.zeros(n, dtype=bool),
        followed=50 - day,
        arm=rng.choice(len(arms), n, p=[shares[arm] for arm in arms]),
        arms=arms,
        horizon=HORIZON,
        stratum=rng.integers(0, strata, n),
        pre={
            "pre_active_days": rng.poisson(0.3, n),
            "pre_invested": money,
            "pre_balance": money * 3 + rng.exponential(size=n),
            "tenure": rng.integers(30, 400, n),
        },
    )
    return replace(rows, assigned_day=np.datetime64("2025-01-01") + day)


EXPERIMENTS: dict[str, Callable[[int], list[Figure]]] = {"campaign_checks": campaign_checks}
