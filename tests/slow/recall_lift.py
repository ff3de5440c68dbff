"""Coverage of the lift of campaigns on known truth: bounded outcomes under censoring, unequal hold-outs, amounts.

The world: days until return have a constant hazard in each arm, so that hazards are proportional; a covariate known
beforehand has a normal copula with them, which leaves the law of each arm as it is. After the return 30 % of days are
active. Users are followed for all of the horizon, or for any shorter time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.special import ndtr

from churnsurv.recall.lift_arms import campaign_arms
from churnsurv.recall.lift_tables import Settings, lift_table
from tests.recall.campaign import made_rows

from .figures import LEVEL, Figure, Tally, replications

__all__ = ["EXPERIMENTS"]

HORIZON, CONTROL, RATIO, ACTIVE = 30, 0.015, 1.4, 0.3
CORRELATION = 0.6  # of the covariate and the normal score of the time
# the outer ones of two kinds of limits cover at least as often as they say
AT_LEAST = (0.935, 1.0)
DAYS = np.arange(1, HORIZON + 1)
BOUNDED = ("return_probability", "days_to_return", "hazard_ratio", "active_days")
SUMS = {"active_days": ((1.0, "active_days"),)}


def truth() -> dict[str, float]:
    """Arm less control in the units of the table; the hazard ratio as it is."""
    stay = np.exp(-np.outer(CONTROL * np.array([1, RATIO]), np.arange(HORIZON + 1)))
    returns = stay[:, :-1] - stay[:, 1:]
    active = returns @ (1 + ACTIVE * (HORIZON - DAYS))
    return {
        "return_probability": 1000 * (stay[0, -1] - stay[1, -1]),
        "days_to_return": float(np.diff(stay[:, :-1].sum(axis=1))[0]),
        "hazard_ratio": RATIO,
        "active_days": 1000 * float(np.diff(active)[0]),
    }


def world(rng: np.random.Generator, n: tuple[int, int], censored: float) -> dict[str, np.ndarray]:
    """Users of one campaign."""
    arm = np.repeat([0, 1], n)
    x, e = rng.standard_normal((2, arm.size))
    u = ndtr(CORRELATION * x + np.sqrt(1 - CORRELATION**2) * e)
    time = np.ceil(-np.log(u) / (CONTROL * np.where(arm, RATIO, 1.0)))
    short = rng.random(arm.size) < censored
    followed = np.where(short, rng.integers(1, HORIZON, arm.size), HORIZON)
    after = time[:, None] < DAYS
    active = after & (rng.random(after.shape) < ACTIVE) | (time[:, None] == DAYS)
    return {"arm": arm, "x": x, "time": time, "followed": followed, "active": active}


def tallied(case: str, n: int, sizes: tuple[int, int], censored: float) -> list[Figure]:
    """Coverage and standard errors of the bounded outcomes, without and with the covariate."""
    tallies = {(outcome, adjusted): Tally(truth()[outcome]) for outcome in BOUNDED for adjusted in (False, True)}
    settings = Settings(BOUNDED, LEVEL, "none", 0)
    for rng in replications(f"lift {case}", n):
        drawn = world(rng, sizes, censored)
        rows = made_rows(
            time=drawn["time"], returned=np.ones(drawn["time"].size), followed=drawn["followed"], arm=drawn["arm"],
            horizon=HORIZON, daily={"active_days": drawn["active"]}, pre={"x": drawn["x"]},
        )  # fmt: skip
        found = campaign_arms(
            rows, control="holdout", sums=SUMS, covariates=("x",), clustered=False, name="campaign"
        )  # fmt: skip
        for row in lift_table(found, "campaign", settings)[0].to_dict("records"):
            tally = tallies[row["outcome"], row["adjusted"]]
            if row["outcome"] == "hazard_ratio":
                tally.take(*np.log([row["estimate"], row["lower"], row["upper"]]), row["std_error"])
            else:
                tally.take(row["estimate"], row["lower"], row["upper"], row["std_error"])
    for key in ((outcome, adjusted) for outcome, adjusted in tallies if outcome == "hazard_ratio"):
        tallies[key].covered = _on_log_scale(tallies[key])
    figures = []
    for (outcome, adjusted), tally in tallies.items():
        name = f"{case}, {outcome}{', adjusted' if adjusted else ''}"
        figures += [tally.coverage(name, gated=True), tally.std_error(name, gated=True)]
    return figures


def _on_log_scale(tally: Tally) -> list[bool]:
    """Whether intervals of the logarithm hold that of the truth."""
    estimate, error = np.array(tally.estimates), np.array(tally.std_errors)
    return (np.abs(estimate - np.log(tally.truth)) <= 1.959964 * error).tolist()


def lift_censored(n: int) -> list[Figure]:
    """1,000 users an arm; 20, 50 and 80 % of them not yet followed for the 30 days."""
    figures = []
    for censored in (0.2, 0.5, 0.8):
        figures += tallied(f"1,000 an arm, {100 * censored:.0f} % censored", n, (1000, 1000), censored)
    return figures


def lift_small_holdout(n: int) -> list[Figure]:
    """A hold-out of 10 %: 200 of 2,000 users; half of them not yet followed for the 30 days.

    Five times the replications: these are quick.
    """
    return tallied("200 against 1,800, 50 % censored", 5 * n, (200, 1800), 0.5)


def lift_amounts(n: int) -> list[Figure]:
    """Money re-invested, log-normal, by 30 or 40 % of users: our limits, and the normal ones beside them."""
    figures = []
    for sizes, fewer in (((200, 200), 1), ((1000, 1000), 2), ((200, 1800), 2), ((1000, 9000), 10)):
        for sigma in (1.0, 1.5, 2.0):
            figures += _amounts(max(n // fewer, 1), sizes, sigma)
    return figures


def _amounts(n: int, sizes: tuple[int, int], sigma: float) -> list[Figure]:
    mean = np.exp(sigma**2 / 2)
    t, normal = Tally(1000 * 0.1 * mean), Tally(1000 * 0.1 * mean)
    settings = Settings(("reinvested",), LEVEL, "none", 0)
    for rng in replications(f"amounts {sizes} {sigma}", n):
        arm = np.repeat([0, 1], sizes)
        spends = rng.random(arm.size) < np.where(arm, 0.4, 0.3)
        amount = np.where(spends, np.exp(sigma * rng.standard_normal(arm.size)), 0.0)
        rows = made_rows(
            time=np.ones(arm.size), returned=spends, followed=np.ones(arm.size), arm=arm, horizon=1,
            daily={"reinvested": amount[:, None]},
        )  # fmt: skip
        found = campaign_arms(
            rows, control="holdout", sums={"reinvested": ((1.0, "reinvested"),)}, covariates=(), clustered=False,
            name="campaign",
        )  # fmt: skip
        row = lift_table(found, "campaign", settings)[0].iloc[0]
        t.take(row["estimate"], row["lower"], row["upper"], row["std_error"])
        half = 1.959964 * row["std_error"]
        normal.take(row["estimate"], row["estimate"] - half, row["estimate"] + half)
    case = f"{sizes[0]:,} against {sizes[1]:,}, sigma {sigma:g}"
    ours = t.coverage(f"{case}, ours", gated=False)
    gate = AT_LEAST if sigma == 1 and sizes == (1000, 1000) else None
    return [replace(ours, gate=gate), normal.coverage(f"{case}, normal", gated=False)]


EXPERIMENTS: dict[str, Callable[[int], list[Figure]]] = {
    "lift_censored": lift_censored,
    "lift_small_holdout": lift_small_holdout,
    "lift_amounts": lift_amounts,
}
