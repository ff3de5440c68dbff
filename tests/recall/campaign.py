"""Rows of campaigns made by hand or drawn, as `campaign_rows` would make them, without a log."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa

from churnsurv.data.assigned import SUMS, CampaignRows
from churnsurv.tables import schema


def made_rows(
    *,
    time,
    returned,
    followed,
    arm,
    horizon,
    arms=("holdout", "sms"),
    stratum=None,
    strata=None,
    cluster=None,
    campaign=None,
    campaigns=("spring",),
    daily=None,
    pre=None,
    idle_days=30,
    given=(),
) -> CampaignRows:
    """Rows from arrays. `daily`: sums by name, each (n, horizon): what a row brings on day u, known or not."""
    n = len(time)
    arm, followed = np.asarray(arm, dtype=np.int64), np.asarray(followed, dtype=np.int64)
    stratum = np.zeros(n, dtype=np.int64) if stratum is None else np.asarray(stratum, dtype=np.int64)
    end = np.minimum(followed, horizon)
    time, returned = np.asarray(time), np.asarray(returned, dtype=bool)
    returned = returned & (time <= end)
    time = np.where(returned, time, end).astype(np.int64)
    daily = {name: np.asarray((daily or {}).get(name, np.zeros((n, horizon))), dtype=float) for name in SUMS}
    day = np.arange(1, horizon + 1)
    inside = followed[:, None] >= day
    sums = {name: np.zeros(n) for name in SUMS}
    weights, by_day = {}, {name: {} for name in SUMS}
    for key in {(int(a), int(s)) for a, s in zip(arm, stratum, strict=True)}:
        here = (arm == key[0]) & (stratum == key[1])
        number = inside[here].sum(axis=0)
        weights[key] = number / here.sum()
        for name, values in daily.items():
            counted = np.where(inside[here], values[here], 0.0)
            by_day[name][key] = np.divide(counted.sum(axis=0), number, out=np.zeros(horizon), where=number > 0)
            sums[name][here] = (counted / np.where(weights[key] > 0, weights[key], 1.0)).sum(axis=1)
    user = np.arange(n, dtype=np.int64)
    nothing = np.zeros(n, dtype=np.int64)
    return CampaignRows(
        user=user,
        campaign=nothing if campaign is None else np.asarray(campaign, dtype=np.int64),
        arm=arm,
        stratum=stratum,
        cluster=user if cluster is None else np.asarray(cluster, dtype=np.int64),
        campaigns=campaigns,
        arms=arms,
        strata=tuple(strata) if strata is not None else tuple(f"s{k}" for k in range(int(stratum.max()) + 1)),
        followed=followed,
        time=time,
        returned=returned,
        assigned_day=np.full(n, np.datetime64("2025-01-01")),
        delivered=nothing,
        opened=nothing,
        second=nothing,
        **sums,
        propensity=None,
        weights=weights,
        by_day=by_day,
        pre={name: np.asarray(values, dtype=float) for name, values in (pre or {}).items()},
        horizon=horizon,
        idle_days=idle_days,
        observed_until=date(2025, 6, 30),
        given=frozenset(given),
        counts={},
        notes=(),
        _user_ids=pa.chunked_array([pa.array(user)]),
        _problems=pa.table({name: pa.array([], pa.string()) for name in schema("assignment_problems").names}),
    )


def drawn_rows(seed, *, n=(1000, 1000), horizon=30, base=0.02, ratio=1.5, censored=0.5, effect=0.5, strata=1, late=60):
    """Two arms with hazards base and base * ratio a day, amounts after return, and a covariate that tells of both.

    `censored`: the share of users followed to less than the horizon, evenly spread.
    """
    rng = np.random.default_rng(seed)
    arm = np.repeat([0, 1], n)
    total = arm.size
    x = rng.standard_normal(total)
    stratum = rng.integers(0, strata, total)
    hazard = base * np.where(arm == 1, ratio, 1.0) * np.exp(effect * x - effect**2 / 2) * (1 + 0.3 * stratum)
    time = np.ceil(rng.exponential(1.0, total) / hazard)
    followed = np.where(rng.random(total) < censored, rng.integers(1, horizon, total), horizon + late)
    day = np.arange(1, horizon + 1)
    after = day >= time[:, None]
    active = after & (rng.random((total, horizon)) < 0.3) | (day == time[:, None])
    amount = np.where(active, 100 * np.exp(0.5 * x[:, None] + rng.standard_normal((total, horizon))), 0.0)
    amount *= rng.random((total, horizon)) < 0.4
    daily = {"active_days": active, "reinvested": amount, "cost": (arm == 1)[:, None] * (day == 1) * 2.0}
    return made_rows(
        time=time, returned=np.isfinite(time), followed=followed, arm=arm, horizon=horizon, stratum=stratum,
        daily=daily, given={"amount", "cost"}, pre={"x": x, "noise": rng.standard_normal(total)},
    )  # fmt: skip
