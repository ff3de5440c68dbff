"""Searched cuts and days of change: size where there is none, and how well they are found where there is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from churnsurv.numerics.maximal_logrank import cut_rows, cut_steps, scan_cuts
from churnsurv.numerics.maximal_logrank_robust import scan_cuts_robust
from churnsurv.survival.multiplicity import adjusted
from churnsurv.warning import change_points
from churnsurv.warning.cut_search import Outcome, Search, asymptotic_p_value, permutation_p_values, search

from . import worlds
from .figures import LEVEL, SIZE, Figure, Tally, replications, size

__all__ = ["EXPERIMENTS"]

Rng = np.random.Generator

PERMUTATIONS = 199
ASYMPTOTIC = Search(0.1, "log-rank", 0, 0, LEVEL)
PERMUTED = Search(0.1, "permutation", 0, 0, LEVEL)
# what is conservative by construction may be so: only too many errors fail
AT_MOST, AT_LEAST = (0.0, SIZE[1]), (0.935, 1.0)


def spike_world(n: int, rng: Rng, *, hazard: Any = 1.0, late: float = 0.0, end: Any = None) -> pd.DataFrame:
    """Nobody churns before day 30, a fifth of those with hazard 1 on it, then 1/60 a day; followed for 40-150 days."""
    spent = rng.exponential(size=n) / hazard
    after = np.ceil(60 * (spent + np.log(0.8)))
    life = 30 + np.maximum(after, 0).astype(int)
    entry = np.where(rng.random(n) < late, rng.integers(1, 61, n), 0)
    until = entry + rng.integers(40, 151, n) if end is None else end
    table = pd.DataFrame({"entry": entry, "duration": np.minimum(life, until), "churned": life <= until})
    return table[table["duration"] > table["entry"]]


def outcome(table: pd.DataFrame, **clusters: Any) -> Outcome:
    late = table["entry"].to_numpy() if "entry" in table and table["entry"].any() else None
    return Outcome(
        table["duration"].to_numpy(), table["churned"].to_numpy(), late, None,
        clusters.get("cluster"), clusters.get("n_clusters", 0),
    )  # fmt: skip


def asymptotic(table: pd.DataFrame, x: np.ndarray, how: Search = ASYMPTOTIC, **clusters: Any) -> float:
    """The p-value of the door, without what else it tells."""
    of = outcome(table)
    rows = cut_rows(of.duration, of.churned, entry=of.entry)
    if clusters:
        scan, steps = scan_cuts_robust(rows, x, clusters["cluster"], clusters["n_clusters"], min_share=how.min_share)
    else:
        scan = scan_cuts(rows, x, min_share=how.min_share, standardise=how.standardise)
        steps = cut_steps(rows, x, scan, standardise=how.standardise)
    return asymptotic_p_value(scan, steps)


def searched_cuts_no_difference(n: int) -> list[Figure]:
    """A variable that says nothing about churn, 500 users or 100: the share of searches with p < 5 %."""
    p_values: dict[str, list[float]] = {}
    for rng in replications("searched cuts", n):
        data = spike_world(500, rng)
        x = rng.normal(size=len(data))
        late, count = spike_world(500, rng, late=0.3), np.minimum(rng.poisson(1.5, len(data)), 6).astype(float)
        short = spike_world(500, rng, end=np.where(x > 0, rng.integers(20, 61, 500), rng.integers(60, 200, 500)))
        for case, found in (
            ("log-rank z, 400 cuts", asymptotic(data, x)),
            ("log-rank z, 3 or 4 cuts of a count", asymptotic(data, count)),
            ("log-rank z, 400 cuts, 30 % enter late", asymptotic(late, rng.normal(size=len(late)))),
            ("log-rank z, 400 cuts, followed shorter above 0", asymptotic(short, x[short.index])),
            ("log-rank z, 80 cuts, 100 users", asymptotic(data.iloc[:100], x[:100])),
            ("permutation z, 400 cuts", asymptotic(data, x, PERMUTED)),
            ("log-rank z, the cut taken as if not searched", 2 * float(_alone(data, x))),
        ):
            p_values.setdefault(case, []).append(found)
    return [size(case, found, gated="not searched" not in case) for case, found in p_values.items()]


def _alone(table: pd.DataFrame, x: np.ndarray) -> float:
    from scipy.stats import norm

    of = outcome(table)
    scan = scan_cuts(cut_rows(of.duration, of.churned), x, min_share=0.1)
    return float(norm.sf(np.nanmax(np.abs(scan.statistic))))


def searched_cuts_by_permutation(n: int) -> list[Figure]:
    """The same by 199 permutations, 100 users, and of three variables of which two hang together: any p < 5 %."""
    p_values: dict[str, list[float]] = {}
    for rng in replications("permuted cuts", n):
        data = spike_world(100, rng)
        x = rng.normal(size=(3, len(data)))
        x[1] = 0.8 * x[0] + 0.6 * x[1]
        how = Search(0.1, "permutation", 0, int(rng.integers(2**31)), LEVEL)
        found = permutation_p_values(list(x), outcome(data), how, PERMUTATIONS, together=True)
        p_values.setdefault("permutation, one variable", []).append(float(found[0, 0]))
        p_values.setdefault("permutation, three variables, max-T", []).append(float(found[:, 1].min()))
        holm = adjusted(found[:, 0], "holm").min()
        p_values.setdefault("permutation, three variables, Holm", []).append(float(holm))
        each = np.array([asymptotic(data, one) for one in x])
        p_values.setdefault("asymptotic, three variables, Holm", []).append(float(adjusted(each, "holm").min()))
        p_values.setdefault("permutation, three variables, each on its own", []).append(float(found[:, 0].min()))
    figures = []
    for case, found in p_values.items():
        share = float(np.mean(np.array(found) <= 1 - LEVEL))
        gate = None if "own" in case else AT_MOST if "Holm" in case else SIZE
        figures.append(Figure(case, "size", share, len(found), gate))
    return figures


def searched_cuts_clustered(n: int) -> list[Figure]:
    """All spells of 200 users with frailty, and a variable of the user that says nothing: robust, and naive."""
    robust, naive = [], []
    for rng in replications("clustered cuts", n):
        data = worlds.frailty_groups(200, rng)
        user = data["user_id"].to_numpy()
        x = rng.normal(size=200)[user]
        robust.append(asymptotic(data, x, cluster=user, n_clusters=200))
        naive.append(asymptotic(data, x))
    return [
        size("robust, clustered by user", robust),
        size("naive, every spell on its own", naive, gated=False),
    ]


def searched_cuts_found(n: int) -> list[Figure]:
    """A hazard that is larger above a cut: how often it is found, whether the range holds it, and the ratio."""
    cases = {
        "hazard ratio 1.5 above 40 % of 300 users": (300, 1.5, 0.4),
        "hazard ratio 1.5 above 40 % of 1,000 users": (1000, 1.5, 0.4),
        "hazard ratio 3 above 40 % of 500 users": (500, 3.0, 0.4),
        "hazard ratio 2 above 70 % of 1,000 users": (1000, 2.0, 0.7),
        "hazard ratio 0.5 above 25 % of 1,000 users": (1000, 0.5, 0.25),
    }
    figures = []
    for case, (users, ratio, at) in cases.items():
        found, inside, width = [], [], []
        after, held_out = Tally(np.log(ratio)), Tally(np.log(ratio))
        for rng in replications(case, n):
            x = rng.random(users)
            data = spike_world(users, rng, hazard=np.where(x > at, ratio, 1.0))
            cut = search("x", x, outcome(data), ASYMPTOTIC)
            found.append(cut.p_value < 1 - LEVEL)
            # a cut stands for all values up to the next one of the sample
            inside.append(cut.low <= at < x[x > cut.high].min())
            width.append(float(np.mean((x >= cut.low) & (x <= cut.high))))
            reach = cut.critical * cut.log_ratio_error
            after.take(cut.log_ratio, cut.log_ratio - reach, cut.log_ratio + reach)
            held_out.take(np.log(cut.held_out_ratio), np.nan, np.nan)
        figures += [
            Figure(f"{case}: p < 5 %", "power", float(np.mean(found)), n, None),
            Figure(f"{case}: the range holds the cut", "coverage", float(np.mean(inside)), n, AT_LEAST),
            Figure(f"{case}: share of users in the range", "mean", float(np.mean(width)), n, None),
            Figure(f"{case}: limits of the ratio", "coverage", float(np.mean(after.covered)), n, AT_LEAST),
            after.bias(f"{case}: ratio at the cut"),
            held_out.bias(f"{case}: held-out ratio"),
        ]
    return figures


def segment_world(n: int, rng: Rng, hazards: np.ndarray) -> pd.DataFrame:
    """Churn from day 30 on with these hazards, day by day; censored evenly over the same days."""
    spent = np.searchsorted(np.cumsum(-np.log1p(-hazards)), rng.exponential(size=n))
    end = rng.integers(0, hazards.size, n)
    return pd.DataFrame({"duration": 30 + np.minimum(spent, end), "churned": spent <= end})


def change_days_no_change(n: int) -> list[Figure]:
    """One hazard over 150 days: the share in which the criterion sees a change."""
    cases = {"300 users": (300, 0.015), "1,000 users": (1000, 0.015), "5,000 users, rare churn": (5000, 0.002)}
    figures = []
    for case, (users, hazard) in cases.items():
        split = []
        for rng in replications(f"no change {case}", n):
            data = segment_world(users, rng, np.full(150, hazard))
            split.append(len(change_points(data, from_day=30, bootstrap=0).table) > 1)
        figures.append(Figure(f"{case}: a change is seen", "size", float(np.mean(split)), n, AT_MOST))
    return figures


def change_days_found(n: int) -> list[Figure]:
    """A spike on day 30, then a change on day 90: how often the segments are right, and whether the days hold it."""
    cases = {
        "2 % to 1.3 %, 2,000 users": (2000, 0.02, 0.013),
        "2 % to 1 %, 1,000 users": (1000, 0.02, 0.01),
        "2 % to 1 %, 5,000 users": (5000, 0.02, 0.01),
        "1 % to 2 %, 2,000 users": (2000, 0.01, 0.02),
    }
    figures = []
    for case, (users, before, after) in cases.items():
        right, inside, width, limits = [], [], [], Tally(before)
        hazards = np.concatenate([[0.2], np.full(59, before), np.full(90, after)])
        for rng in replications(f"change {case}", n):
            table = change_points(segment_world(users, rng, hazards), from_day=30, bootstrap=0).table
            right.append(len(table) == 3)
            if len(table) == 3:
                last = table.iloc[2]
                inside.append(last["change_lower"] <= 90 <= last["change_upper"])
                width.append(last["change_upper"] - last["change_lower"] + 1)
                limits.take(*table.loc[1, ["hazard", "lower", "upper"]].to_numpy(dtype=float))
        figures += [
            Figure(f"{case}: three segments", "power", float(np.mean(right)), n, None),
            Figure(f"{case}: the days hold the change", "coverage", float(np.mean(inside)), len(inside), AT_LEAST),
            Figure(f"{case}: days in the set", "mean", float(np.mean(width)), len(width), None),
            limits.coverage(f"{case}: limits of the hazard before", gated=False),
        ]
    return figures


EXPERIMENTS: dict[str, Callable[[int], list[Figure]]] = {
    "searched_cuts_no_difference": searched_cuts_no_difference,
    "searched_cuts_by_permutation": searched_cuts_by_permutation,
    "searched_cuts_clustered": searched_cuts_clustered,
    "searched_cuts_found": searched_cuts_found,
    "change_days_no_change": change_days_no_change,
    "change_days_found": change_days_found,
}
