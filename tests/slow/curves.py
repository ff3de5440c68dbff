"""Coverage and size of bands, hazards, conditional survival, restricted means, weights and recurrent churns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

import churnsurv as ch
from churnsurv.numerics.cluster import clustered_hazard_error, clustered_rows
from churnsurv.numerics.day_counts import day_counts
from churnsurv.numerics.kaplan_meier import nelson_aalen
from churnsurv.numerics.weighted_counts import steps_of
from churnsurv.survival.rmst import rmst, rmst_difference

from . import worlds
from .figures import LEVEL, Figure, Tally, replications, size

__all__ = ["EXPERIMENTS"]

Rng = np.random.Generator

# A band is made for a curve that may move at any moment; one that moves once a day it holds more often than it says.
AT_LEAST = (0.935, 1.0)


def truth(days: np.ndarray | float) -> np.ndarray:
    """S of `worlds.churn_world`."""
    return np.asarray(2.0 ** (-np.maximum(np.asarray(days, dtype=float) - 30, 0) / 40))


def simultaneous_bands(n: int) -> list[Figure]:
    """Bands from day 40 to 100: the share of samples of 200 users in which the band holds all of the curve."""
    figures = []
    for late in (0.0, 0.3):
        kinds = ("equal-precision", "hall-wellner") if not late else ("equal-precision",)
        ways = [(kind, scale) for kind in kinds for scale in ("log-log", "arcsine", "plain")]
        held: dict[tuple[str, str], list[bool]] = {way: [] for way in [*ways, ("each day alone", "log-log")]}
        for rng in replications(f"bands {late}", n):
            curves = ch.kaplan_meier(worlds.churn_world(200, rng, late=late), entry="entry", level=LEVEL)
            for kind, scale in held:
                each = kind == "each day alone"
                found = curves.at(np.arange(40, 101)) if each else curves.bands(kind, between=(40, 100), scale=scale)
                ends = np.append(found["time"].to_numpy()[1:] - 1, 100)  # the band stands still, the truth falls
                inside = (found["lower"] <= truth(ends)) & (truth(found["time"]) <= found["upper"])
                held[kind, scale].append(bool(inside.all()))
        where = "30 % enter late" if late else "no late entry"
        for (kind, scale), all_of_it in held.items():
            gate = AT_LEAST if scale == "log-log" and kind != "each day alone" else None
            figures.append(Figure(f"{kind}, {scale}, {where}", "coverage", float(np.mean(all_of_it)), n, gate))
    return figures


def hazards_and_conditional(n: int) -> list[Figure]:
    """Cumulative hazard, its smoothed derivative (bandwidth 15) and conditional survival: 200 users, 30 % late.

    Five times the replications: these are quick.
    """
    daily = 1 - 2 ** (-1 / 40)  # the hazard of each whole day after day 30
    cumulative = {45: Tally(15 * daily), 80: Tally(50 * daily)}
    smooth, conditional = Tally(daily * (1 - 1 / (4 * 15**2))), Tally(float(truth(90) / truth(50)))
    for rng in replications("hazards", 5 * n):
        curves = ch.kaplan_meier(worlds.churn_world(200, rng, late=0.3), entry="entry", level=LEVEL)
        table = curves.cumulative_hazard
        for day, tally in cumulative.items():
            row = table[table["time"] <= day].iloc[-1]
            tally.add(row.rename({"cumulative_hazard": "estimate"}))
        smooth.add(curves.smoothed_hazard(bandwidth=15, times=60).iloc[0].rename({"hazard": "estimate"}))
        conditional.add(curves.conditional(50, 40).iloc[0].rename({"survival": "estimate"}))
    figures = []
    for case, tally in (
        *((f"cumulative hazard, day {day}", tally) for day, tally in cumulative.items()),
        ("smoothed hazard, day 60", smooth),
        ("conditional survival, 40 days more from day 50", conditional),
    ):
        figures += [tally.coverage(case, gated=True), tally.std_error(case, gated=True)]
    return figures


def restricted_means(n: int) -> list[Figure]:
    """Restricted means within 100 days of 200 users, and the test of their difference between two groups alike."""
    area = float(truth(np.arange(100)).sum())
    figures = []
    for late in (0.0, 0.3):
        mean, difference, p_values = Tally(area), Tally(0.0), []
        for rng in replications(f"restricted means {late}", n):
            data = worlds.churn_world(200, rng, late=late)
            mean.add(rmst(data, horizon=100, entry="entry", level=LEVEL).table.iloc[0])
            data["group"] = rng.integers(0, 2, len(data))
            found = rmst_difference(data, by="group", horizon=100, entry="entry", level=LEVEL).table.iloc[0]
            difference.add(found)
            p_values.append(float(found["p_value"]))
        where = "30 % enter late" if late else "no late entry"
        figures += [mean.coverage(f"mean, {where}", gated=True), mean.std_error(f"mean, {where}", gated=True)]
        figures += [difference.coverage(f"difference, {where}", gated=True), size(f"difference, {where}", p_values)]
    return figures


def clustered_means(n: int) -> list[Figure]:
    """Restricted means within 100 days of two to four spells a user with a strong shared frailty, 200 users."""
    area = 30 + float(np.exp(-np.arange(70) / 60).sum())
    ways = {"user_id": "infinitesimal jackknife", None: "Greenwood"}
    tallies = {way: Tally(area) for way in ways}
    for rng in replications("clustered means", n):
        data = worlds.parallel_spells(200, rng, effects=False)
        for way, tally in tallies.items():
            tally.add(rmst(data, horizon=100, cluster=way, level=LEVEL).table.iloc[0])
    figures = []
    for way, tally in tallies.items():
        gated = way is not None
        figures += [tally.coverage(ways[way], gated=gated), tally.std_error(ways[way], gated=gated)]
    return figures


def sampling_weights(n: int) -> list[Figure]:
    """A sample of about 330 of 1,000 users in which quick churners are drawn more often, weighted back."""
    tallies = {"S = 0.50": Tally(0.5), "cumulative hazard, day 70": Tally(40 * (1 - 2 ** (-1 / 40)))}
    tallies["restricted mean within 100 days"] = Tally(float(truth(np.arange(100)).sum()))
    for rng in replications("sampling weights", n):
        data = worlds.churn_world(1000, rng)
        chance = np.where(data["churned"] & (data["duration"] < 50), 0.6, 0.2)
        data = data.assign(w=1 / chance)[rng.random(len(data)) < chance]
        options = {"weights": "w", "weights_kind": "sampling", "level": LEVEL}
        curves = ch.kaplan_meier(data, **options)
        tallies["S = 0.50"].add(curves.at(70).iloc[0].rename({"survival": "estimate"}))
        hazard = curves.cumulative_hazard
        row = hazard[hazard["time"] <= 70].iloc[-1].rename({"cumulative_hazard": "estimate"})
        tallies["cumulative hazard, day 70"].add(row)
        tallies["restricted mean within 100 days"].add(rmst(data, horizon=100, **options).table.iloc[0])
    figures = []
    for case, tally in tallies.items():
        figures += [tally.coverage(case, gated=True), tally.std_error(case, gated=True)]
    return figures


def recurrent_means(n: int) -> list[Figure]:
    """Mean number of churns by day 200 of 200 users with frailty, followed for 60 to 300 days; truth from 400,000."""
    rng = np.random.default_rng(20261123)
    users = 400_000
    expected = float(np.concatenate([d[d <= 200] for _, d in _lives(users, rng, 200)]).size / users)
    robust, naive = Tally(expected), Tally(expected)
    for rng in replications("recurrent means", n):
        end = rng.integers(60, 301, 200)
        churns = pd.DataFrame(
            [(user, day) for who, days in _lives(200, rng, 300) for user, day in zip(who, days, strict=True)],
            columns=["user", "day"],
        )
        churns = churns[churns["day"] <= end[churns["user"]]].sort_values(["user", "day"])
        rows = pd.concat(
            [churns.assign(churned=True), pd.DataFrame({"user": range(200), "day": end, "churned": False})]
        )
        rows = rows.sort_values(["user", "day", "churned"], ascending=[True, True, False])
        before = rows.groupby("user")["day"].shift(fill_value=0).to_numpy()
        day, churned, user = rows["day"].to_numpy(), rows["churned"].to_numpy(dtype=bool), rows["user"].to_numpy()
        counts = day_counts(day, churned, entry=before)
        steps = steps_of(counts)
        placed = clustered_rows(steps.time, day, churned, user, entry=before)
        at = int(np.searchsorted(steps.time, 200, side="right")) - 1
        for tally, error in ((robust, clustered_hazard_error(steps, placed)), (naive, None)):
            found = nelson_aalen(steps, level=LEVEL, std_error=error)
            tally.take(*(float(x[at]) for x in (found.cumulative_hazard, found.lower, found.upper, found.std_error)))
    return [
        robust.coverage("robust by user", gated=True),
        robust.std_error("robust by user", gated=True),
        naive.coverage("every churn on its own", gated=False),
        naive.std_error("every churn on its own", gated=False),
    ]


def _lives(users: int, rng: Rng, until: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rounds of (user, day of churn): 30 days and more after registration or return, away for 1 to 40 days."""
    rate = rng.gamma(1.0, 1.0, users) / 40
    active, origin, rounds = np.arange(users), np.zeros(users, dtype=int), []
    while active.size:
        life = np.minimum(rng.exponential(1.0, active.size) / rate[active], 1e5)
        churn = origin[active] + worlds.FIRST_DAY + np.ceil(life).astype(int)
        seen = churn <= until
        active, churn = active[seen], churn[seen]
        rounds.append((active, churn))
        origin[active] = churn + rng.integers(1, 41, active.size)
        active = active[origin[active] < until]
    return rounds


EXPERIMENTS: dict[str, Callable[[int], list[Figure]]] = {
    "simultaneous_bands": simultaneous_bands,
    "hazards_and_conditional": hazards_and_conditional,
    "restricted_means": restricted_means,
    "clustered_means": clustered_means,
    "sampling_weights": sampling_weights,
    "recurrent_means": recurrent_means,
}
