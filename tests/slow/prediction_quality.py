"""Experiments on how good a prediction is: intervals of what is estimated from censored rows hold the truth.

The truth is that of all users, computed from 400,000 that are followed to the end. Predictions are fixed and somewhat
wrong, so that slope and intercept are not those of a perfect model. Uncensored days of churn are whole, as in a log.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pandas as pd

from churnsurv.survival.auc import time_dependent_auc
from churnsurv.survival.brier import brier_score
from churnsurv.survival.calibration import calibration
from churnsurv.survival.compare import compare_concordance
from churnsurv.survival.concordance import concordance
from churnsurv.survival.decision import decision_curve

from .figures import LEVEL, Figure, Tally, replications, size

__all__ = ["EXPERIMENTS", "figures", "truths", "world"]

HORIZON, TIMES, THRESHOLD = 60, [30, 60], 0.5


def world(n: int, rng: np.random.Generator, *, late: bool = False, censored: bool = True) -> pd.DataFrame:
    """Hazard exp(0.8 x) / 60; predictions think of 0.6 x and 1 / 70. Censored on days 30 to 120; half enter late."""
    x, noise = rng.normal(size=n), rng.normal(size=n)
    life = np.ceil(rng.exponential(60 * np.exp(-0.8 * x))).astype(int)
    end = rng.integers(30, 121, n) if censored else np.full(n, 10**6)
    entry = np.where(rng.random(n) < 0.5, rng.integers(0, 25, n), 0) if late else np.zeros(n, dtype=int)
    table = pd.DataFrame(
        {"entry": entry, "duration": np.minimum(life, end), "churned": life <= end, "x": x, "rough": x + noise}
    )
    for t in TIMES:
        table[f"p{t}"] = -np.expm1(-t / 70 * np.exp(0.6 * x))
    return table[table["duration"] > table["entry"]].reset_index(drop=True)


def figures(data: pd.DataFrame) -> dict[str, tuple[float, float, float, float]]:
    """Estimate, limits and standard error of all that has an interval."""
    said = {"entry": "entry", "level": LEVEL}
    p = data[[f"p{t}" for t in TIMES]].to_numpy()
    brier = brier_score(data, survival=1 - p, times=TIMES, **said)
    area = time_dependent_auc(data, score="rough", times=TIMES, **said)
    uno = concordance(data, score="rough", method="uno", horizon=HORIZON, **said)
    calibrated = calibration(data, probability="p60", horizon=HORIZON, **said).summary.set_index("quantity")
    curve = decision_curve(data, probability="p60", horizon=HORIZON, thresholds=[THRESHOLD], **said).table
    found: dict[str, tuple[float, float, float, float]] = {}
    columns = ["estimate", "lower", "upper", "std_error"]
    for name, table in (("Brier score", brier.table), ("AUC", area.table)):
        for t, row in zip(TIMES, table[columns].to_numpy(), strict=True):
            found[f"{name}, day {t}"] = tuple(row)
    scaled = brier.table[["scaled", "scaled_lower", "scaled_upper", "scaled_std_error"]].to_numpy()
    found["scaled Brier score, day 60"] = tuple(scaled[1])
    whole = (brier.integrated, brier.integrated_lower, brier.integrated_upper, brier.integrated_std_error)
    found["integrated Brier score"] = whole
    found["mean AUC"] = (area.mean, area.mean_lower, area.mean_upper, area.mean_std_error)
    found["Uno's C"] = (uno.estimate, uno.lower, uno.upper, uno.std_error)
    for name in ("ratio", "intercept", "slope"):
        found[f"calibration {name}"] = tuple(calibrated.loc[name, columns])
    benefit = curve[curve["model"] == "p60"][["net_benefit", "lower", "upper", "std_error"]]
    found["net benefit"] = tuple(benefit.to_numpy()[0])
    return found


@functools.cache
def truths() -> dict[str, float]:
    """All of these of users that are followed to the end."""
    everybody = figures(world(400_000, np.random.default_rng(20261122), censored=False))
    return {name: value[0] for name, value in everybody.items()}


def prediction_quality(n: int) -> list[Figure]:
    """1,000 users, censored on days 30 to 120: none or half of them enter late."""
    out = []
    for late in (False, True):
        tallies = {name: Tally(truth) for name, truth in truths().items()}
        for rng in replications(f"prediction quality {late}", n):
            for name, found in figures(world(1000, rng, late=late)).items():
                tallies[name].take(*found)
        where = "half enter late" if late else "no late entry"
        for name, tally in tallies.items():
            out += [tally.coverage(f"{name}, {where}", gated=True), tally.std_error(f"{name}, {where}", gated=True)]
    return out


def compared_concordance(n: int) -> list[Figure]:
    """300 users: two scores that are equally good, and one that is better by a known amount."""
    everybody = world(400_000, np.random.default_rng(1), censored=False)
    rng = np.random.default_rng(2)
    everybody["other"] = everybody["x"] + rng.normal(size=len(everybody))
    scores = ("rough", "other", "x")
    # Harrell's C depends on the censoring: the truth is that of Uno's
    truth = compare_concordance(everybody, scores=scores, horizon=HORIZON).table["estimate"].to_numpy()
    tally, p_values = Tally(float(truth[1])), []
    for rng in replications("compared concordance", n):
        data = world(300, rng)
        data["other"] = data["x"] + rng.normal(size=len(data))
        found = compare_concordance(data, scores=scores, method="uno", horizon=HORIZON, adjust="none", level=LEVEL)
        equal, better = (row for _, row in found.table.iterrows())
        p_values.append(float(equal["p_value"]))
        tally.add(better)
    return [
        size("no difference", p_values),
        tally.coverage("true score less a rough one", gated=True),
        tally.std_error("true score less a rough one", gated=True),
    ]


def d_calibration_of_the_truth(n: int) -> list[Figure]:
    """The test of D-calibration on the true model, 500 users: without censoring gated, with it reported."""
    sizes = []
    for censored in (False, True):
        p_values = []
        for rng in replications(f"d-calibration {censored}", n):
            data = world(500, rng, censored=censored)
            # days are rounded up: the middle of the day stands for the moment within it
            at_end = np.exp(-(data["duration"] - 0.5 * data["churned"]) * np.exp(0.8 * data["x"]) / 60)
            found = calibration(
                data, probability="p60", horizon=HORIZON, survival_at_end=at_end.to_numpy(), entry="entry"
            )
            if found.d_calibration is not None:
                p_values.append(found.d_calibration.p_value)
        sizes.append(size("censored" if censored else "no censoring", p_values, gated=not censored))
    return sizes


EXPERIMENTS: dict[str, Callable[[int], list[Figure]]] = {
    "prediction_quality": prediction_quality,
    "compared_concordance": compared_concordance,
    "d_calibration": d_calibration_of_the_truth,
}
