"""Experiments on competing causes: intervals of incidence, Fine and Gray's coefficients, size of Gray's test."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from churnsurv.survival.competing import cumulative_incidence
from churnsurv.survival.fine_gray import fine_gray
from churnsurv.survival.gray import gray_test

from .figures import LEVEL, Figure, Tally, replications, size

__all__ = ["EXPERIMENTS", "proportional_world", "reasons_world"]

Rng = np.random.Generator

FIRST_DAY = 30


def _followed(life: np.ndarray, cause: np.ndarray, rng: Rng, late: float) -> pd.DataFrame:
    """Follow each user for 40 to 150 days; for a share `late` that begins only on day 1 to 60.

    Those who churn before they would enter are not seen at all.
    """
    n = life.size
    entry = np.where(rng.random(n) < late, rng.integers(1, 61, n), 0)
    end = entry + rng.integers(40, 151, n)
    churned = life <= end
    table = pd.DataFrame(
        {
            "entry": entry,
            "duration": np.minimum(life, end),
            "churned": churned,
            "cause": np.where(churned, cause, None),
        }
    )
    return table[table["duration"] > table["entry"]]


def reasons_world(n: int, rng: Rng, *, late: float = 0.0, known: float = 1.0) -> pd.DataFrame:
    """Two causes with constant hazards .012 and .008 from day 30 on, known for a share, whatever they are.

    F_first(30 + k) = .6 (1 - exp(-.02 k)) exactly at whole days.
    """
    life = FIRST_DAY + np.ceil(rng.exponential(50.0, n)).astype(int)
    cause = np.where(rng.random(n) < 0.6, "first", "second").astype(object)
    cause[rng.random(n) > known] = None
    table = _followed(life, cause, rng, late)
    return table.assign(group=rng.integers(0, 2, len(table))).reset_index(drop=True)


def proportional_world(n: int, rng: Rng, *, late: float = 0.0) -> pd.DataFrame:
    """Proportional subdistribution hazards of the first cause, log ratios .5 (group b against a) and -.3 (a unit of x).

    F_first(30 + k | x) = 1 - [1 - .6 (1 - exp(-k / 40))] ^ r, r = exp(x'b); the others churn for the second cause, with
    hazard r / 40 (the design of Fine and Gray 1999).
    """
    group, x = rng.random(n) < 0.4, rng.normal(size=n)
    r = np.exp(0.5 * group - 0.3 * x)
    first = rng.random(n) < 1 - 0.4**r
    u = rng.random(n) * (1 - 0.4**r)
    of_first = -40 * np.log1p(-(1 - (1 - u) ** (1 / r)) / 0.6)
    of_second = rng.exponential(40.0, n) / r
    life = FIRST_DAY + np.ceil(np.where(first, of_first, of_second)).astype(int)
    table = _followed(life, np.where(first, "first", "second"), rng, late)
    kept = table.index
    return table.assign(group=np.where(group, "b", "a")[kept], x=x[kept]).reset_index(drop=True)


def incidence(n: int) -> list[Figure]:
    """Incidence of one of two causes at three days: 200 users, both variances, both scales."""
    figures = []
    days = {35: 5, 60: 30, 100: 70}
    for late in (0.0, 0.3):
        ways = [("jackknife", "log-log"), ("delta", "log-log"), ("jackknife", "plain")]
        truth = {day: 0.6 * -np.expm1(-0.02 * k) for day, k in days.items()}
        tallies = {(way, day): Tally(float(truth[day])) for way in ways for day in days}
        for rng in replications(f"incidence {late}", n):
            data = reasons_world(200, rng, late=late)
            for variance, ci in ways:
                found = cumulative_incidence(
                    data, cause="cause", variance=variance, ci=ci, entry="entry", level=LEVEL
                ).at(list(days))
                mine = found[found["cause"] == "first"]
                for day, (_, row) in zip(days, mine.iterrows(), strict=True):
                    tallies[(variance, ci), day].add(row.rename({"incidence": "estimate"}))
        where = "30 % enter late" if late else "no late entry"
        for ((variance, ci), day), tally in tallies.items():
            gated = ci == "log-log" and day > 35
            figures.append(tally.coverage(f"{variance}, {ci}, F({day}) = {truth[day]:.3f}, {where}", gated=gated))
            if ci == "log-log":
                figures.append(tally.std_error(f"{variance}, F({day}), {where}", gated=gated))
    return figures


def unknown_causes(n: int) -> list[Figure]:
    """Causes known for 60 % of churns at random: the estimate for that case, and the bounds. 300 users."""
    days = {60: 30, 100: 70}
    truth = {day: 0.6 * -np.expm1(-0.02 * k) for day, k in days.items()}
    at_random, within = ({day: Tally(float(truth[day])) for day in days} for _ in range(2))
    for rng in replications("unknown causes", n):
        found = cumulative_incidence(reasons_world(300, rng, known=0.6), cause="cause", level=LEVEL)
        for day, (_, row) in zip(days, found.bounds("first", list(days)).iterrows(), strict=True):
            at_random[day].take(row["missing_at_random"], row["mar_lower"], row["mar_upper"], row["std_error"])
            within[day].take(row["missing_at_random"], row["lower"], row["upper"])
    figures = []
    for day in days:
        figures += [
            at_random[day].coverage(f"missing at random, F({day})", gated=True),
            at_random[day].std_error(f"missing at random, F({day})", gated=True),
            within[day].coverage(f"limits of the bounds, F({day})", gated=False),
        ]
    return figures


def fine_gray_coefficients(n: int) -> list[Figure]:
    """Coefficients under truly proportional subdistribution hazards: 500 users, none or 30 % of them late."""
    figures = []
    for late in (0.0, 0.3):
        ways = ("robust", "cmprsk") if late == 0 else ("robust",)
        tallies = {(way, v): Tally(t) for way in ways for v, t in (("group", 0.5), ("x", -0.3))}
        for rng in replications(f"fine gray {late}", n):
            data = proportional_world(500, rng, late=late)
            for way in ways:
                fit = fine_gray(
                    "group + x", data, cause="cause", cause_of_interest="first", entry="entry", level=LEVEL,
                    compat="cmprsk" if way == "cmprsk" else None,
                )  # fmt: skip
                for _, row in fit.table.iterrows():
                    tallies[way, row["variable"]].add(row)
        where = "30 % enter late" if late else "no late entry"
        for (way, variable), tally in tallies.items():
            case = f"{way}, {variable}, {where}"
            figures += [tally.coverage(case, gated=True), tally.std_error(case, gated=True), tally.bias(case)]
    return figures


def fine_gray_incidence(n: int) -> list[Figure]:
    """Predicted incidence under truly proportional subdistribution hazards: 500 users."""
    new = pd.DataFrame({"group": ["a", "b"], "x": [0.0, 1.0]})
    ratio = np.exp([0.0, 0.5 - 0.3])
    days = {60: 30, 100: 70}
    truth = {day: 1 - (1 - 0.6 * -np.expm1(-k / 40)) ** ratio for day, k in days.items()}
    tallies = {(day, i): Tally(float(truth[day][i])) for day in days for i in range(2)}
    for rng in replications("fine gray incidence", n):
        fit = fine_gray(
            "group + x", proportional_world(500, rng), cause="cause", cause_of_interest="first", level=LEVEL
        )
        found = fit.incidence(new, list(days))
        for j, day in enumerate(days):
            for i in range(2):
                tallies[day, i].take(found.values[i, j], found.lower[i, j], found.upper[i, j])
    who = ("covariates zero", "covariates one")
    return [tally.coverage(f"F({day}), {who[i]}", gated=True) for (day, i), tally in tallies.items()]


def grays_test(n: int) -> list[Figure]:
    """Gray's test where two groups do not differ: 200 users."""
    figures = []
    for late in (0.0, 0.3):
        p_values = []
        for rng in replications(f"grays test {late}", n):
            data = reasons_world(200, rng, late=late)
            found = gray_test(data, cause="cause", by="group", cause_of_interest="first", entry="entry")
            p_values.append(found.table["p_value"].iloc[0])
        figures.append(size("30 % enter late" if late else "no late entry", p_values))
    return figures


EXPERIMENTS: dict[str, Callable[[int], list[Figure]]] = {
    "incidence": incidence,
    "unknown_causes": unknown_causes,
    "fine_gray_coefficients": fine_gray_coefficients,
    "fine_gray_incidence": fine_gray_incidence,
    "grays_test": grays_test,
}
