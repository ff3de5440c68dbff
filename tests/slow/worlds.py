"""Worlds with known truth. Days are whole: a user churns on day ceil(T), so ties are heavy, as in a daily log."""

import numpy as np
import pandas as pd

__all__ = ["churn_world", "covariate_world", "frailty_groups", "group_world", "parallel_spells", "spike_world"]

Rng = np.random.Generator

# A user cannot churn before the rule's idle days have passed.
FIRST_DAY = 30


def _spells(life: np.ndarray, rng: Rng, late: float) -> pd.DataFrame:
    """Follow each spell for 40 to 150 days; for a share `late` that begins only on day 1 to 90.

    Those who churn before they would enter are not seen at all: the table then holds fewer rows than users.
    """
    n = life.size
    entry = np.where(rng.random(n) < late, rng.integers(1, 91, n), 0)
    end = entry + rng.integers(40, 151, n)
    table = pd.DataFrame({"entry": entry, "duration": np.minimum(life, end), "churned": life <= end})
    return table[table["duration"] > table["entry"]]


def churn_world(n: int, rng: Rng, *, median: float = 40.0, late: float = 0.0) -> pd.DataFrame:
    """One group: churn on day 30 + ceil(exponential), followed for 40 to 150 days.

    S(30 + k) = 2 ** (-k / median) exactly at whole days.
    """
    life = FIRST_DAY + np.ceil(rng.exponential(median / np.log(2), n)).astype(int)
    return _spells(life, rng, late).reset_index(drop=True)


def group_world(n: int, rng: Rng, *, groups: int, late: float = 0.0) -> pd.DataFrame:
    """Groups that churn alike, in three strata that don't (and in which the groups have different shares)."""
    stratum = rng.integers(0, 3, n)
    shares = np.linspace(1, 2 + stratum, groups).T
    group = (rng.random(n)[:, None] > np.cumsum(shares / shares.sum(1, keepdims=True), axis=1)).sum(1)
    life = FIRST_DAY + np.ceil(rng.exponential(np.array([25.0, 50.0, 100.0])[stratum])).astype(int)
    table = _spells(life, rng, late)
    kept = table.index
    return table.assign(group=group[kept], stratum=stratum[kept]).reset_index(drop=True)


def frailty_groups(users: int, rng: Rng, *, days: int = 400) -> pd.DataFrame:
    """Recurrent spells: users of two groups that do not differ, each with a gamma frailty over its whole life.

    A spell lasts 30 + ceil(exponential / frailty) days, the user stays away for 1 to 40 days, and a new spell begins,
    until the log ends.
    """
    group = rng.integers(0, 2, users)
    rate = rng.gamma(1.0, 1.0, users) / 40
    origin = rng.integers(0, 120, users)
    rows = []
    active = np.arange(users)
    while active.size:
        life = FIRST_DAY + np.ceil(np.minimum(rng.exponential(1.0, active.size) / rate[active], 1e4)).astype(int)
        left = days - origin[active]
        rows.append(
            pd.DataFrame(
                {
                    "user_id": active,
                    "duration": np.minimum(life, left),
                    "churned": life <= left,
                    "group": group[active],
                }
            )
        )
        origin[active] += life + rng.integers(1, 41, active.size)
        active = active[origin[active] < days]
    return pd.concat(rows, ignore_index=True)


def covariate_world(n: int, rng: Rng, *, late: float = 0.0, scale: float = 60.0) -> pd.DataFrame:
    """Proportional hazards with log hazard ratios .5 (channel b against a) and -.3 (one unit of x)."""
    channel = rng.random(n) < 0.4
    x = rng.normal(size=n)
    hazard = np.exp(0.5 * channel - 0.3 * x) / scale
    life = FIRST_DAY + np.ceil(rng.exponential(1.0, n) / hazard).astype(int)
    table = _spells(life, rng, late)
    kept = table.index
    return table.assign(channel=np.where(channel, "b", "a")[kept], x=x[kept]).reset_index(drop=True)


def spike_world(n: int, rng: Rng, *, share: float) -> pd.DataFrame:
    """The same effects, but a share of those at covariates zero churns on day 30: all whose time falls into that day.

    The cumulative hazard at covariates zero is -log(1 - share) at the end of day 30, and k / 60 more on day 30 + k.
    """
    channel = rng.random(n) < 0.4
    x = rng.normal(size=n)
    spent = rng.exponential(1.0, n) / np.exp(0.5 * channel - 0.3 * x)
    after = np.ceil(60 * (spent + np.log1p(-share)))
    table = _spells(FIRST_DAY + np.maximum(after, 0).astype(int), rng, 0.0)
    kept = table.index
    return table.assign(channel=np.where(channel, "b", "a")[kept], x=x[kept]).reset_index(drop=True)


def parallel_spells(users: int, rng: Rng, *, alpha: float = 0.6, effects: bool = True) -> pd.DataFrame:
    """Two to four spells a user under a shared positive stable frailty, under which the margins stay proportional.

    Given the frailty z, the log hazard ratios are .5 / alpha and -.3 / alpha; over all users they are .5 and -.3
    (Hougaard 1986), which is what a Cox model without frailty estimates. Without effects S(30 + k) = exp(-k / 60).
    """
    spells = rng.integers(2, 5, users)
    user = np.repeat(np.arange(users), spells)
    # Chambers, Mallows and Stuck (1976), Kanter's form: E exp(-s z) = exp(-s ** alpha)
    angle = rng.uniform(0, np.pi, users)
    shape = np.sin(alpha * angle) ** alpha * np.sin((1 - alpha) * angle) ** (1 - alpha) / np.sin(angle)
    z = (shape / rng.exponential(1.0, users) ** (1 - alpha)) ** (1 / alpha)
    channel = (rng.random(users) < 0.4)[user]
    x = rng.normal(size=users)[user]
    conditional = z[user] * np.exp(effects * (0.5 * channel - 0.3 * x) / alpha)
    cumulative = rng.exponential(1.0, user.size) / conditional
    life = FIRST_DAY + np.ceil(np.minimum(60 * cumulative**alpha, 1e6)).astype(int)
    table = _spells(life, rng, 0.0)
    kept = table.index
    return table.assign(user_id=user[kept], channel=np.where(channel, "b", "a")[kept], x=x[kept]).reset_index(drop=True)
