"""Size of the log-rank family where groups do not differ, and coverage of the effects that stand beside the tests."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from churnsurv.survival.pairwise import pairwise_logrank
from churnsurv.survival.tests_ import logrank

from . import worlds
from .figures import LEVEL, Figure, Tally, replications, size

__all__ = ["EXPERIMENTS"]

WEIGHTINGS = {
    "log-rank": "log-rank",
    "Gehan-Wilcoxon": "gehan-wilcoxon",
    "Tarone-Ware": "tarone-ware",
    "Peto-Peto": "peto-peto",
    "Fleming-Harrington(1, 0)": ("fleming-harrington", 1, 0),
    "Fleming-Harrington(0, 1)": ("fleming-harrington", 0, 1),
    "Fleming-Harrington(1, 1)": ("fleming-harrington", 1, 1),
}


def weighted_tests(n: int) -> list[Figure]:
    """Every weighting, max-combo and trend: 400 users, three strata that differ, 30 % enter late."""
    p_values: dict[str, list[float]] = {}
    for rng in replications("weighted tests", n):
        data = worlds.group_world(400, rng, groups=4, late=0.3)
        way = {"by": "group", "strata": "stratum", "entry": "entry"}
        for case, weighting in WEIGHTINGS.items():
            p_values.setdefault(f"{case}, 4 groups", []).append(logrank(data, weighting=weighting, **way).p_value)
        for case, weighting in (("log-rank", "log-rank"), ("max-combo", "max-combo")):
            found = logrank(data, weighting=weighting, trend=True, **way).p_value
            p_values.setdefault(f"{case} for trend, 4 groups", []).append(found)
        two = data[data["group"] < 2]
        p_values.setdefault("max-combo, 2 groups", []).append(logrank(two, weighting="max-combo", **way).p_value)
    return [size(case, found) for case, found in p_values.items()]


def weighted_recurrent_spells(n: int) -> list[Figure]:
    """The robust tests on all spells of 200 users with frailty, two groups that are alike; the naive ones beside."""
    robust: dict[str, list[float]] = {}
    naive: dict[str, list[float]] = {}
    for rng in replications("weighted recurrent spells", n):
        data = worlds.frailty_groups(200, rng)
        for case, weighting in {**WEIGHTINGS, "max-combo": "max-combo"}.items():
            robust.setdefault(case, []).append(
                logrank(data, by="group", weighting=weighting, cluster="user_id").p_value
            )
            naive.setdefault(case, []).append(logrank(data, by="group", weighting=weighting, cluster=None).p_value)
    figures = [size(f"{case}, robust, clustered by user", found) for case, found in robust.items()]
    return figures + [
        size(f"{case}, naive, every spell on its own", found, gated=False) for case, found in naive.items()
    ]


def adjusted_pairs(n: int) -> list[Figure]:
    """Any false finding among the six pairs of four groups that do not differ, 240 users: at most 5 % by Holm."""
    smallest: dict[str, list[float]] = {"each pair on its own": [], "Holm": []}
    for rng in replications("adjusted pairs", n):
        data = worlds.group_world(240, rng, groups=4)
        table = pairwise_logrank(data, by="group", strata="stratum", adjust="holm").table
        smallest["each pair on its own"].append(float(table["p_value"].min()))
        smallest["Holm"].append(float(table["p_adjusted"].min()))
    held = np.mean(np.array(smallest["Holm"]) < 1 - LEVEL)
    return [
        size("each pair on its own", smallest["each pair on its own"], gated=False),
        Figure("Holm", "size", float(held), n, (0.0, 0.065)),
    ]


def effects_of_tests(n: int) -> list[Figure]:
    """Intervals of the effects beside a test: groups that do not differ, 200 users, or spells with frailty."""
    figures: list[Figure] = []
    worlds_of = {
        "one spell a user": (lambda rng: worlds.group_world(200, rng, groups=2), {"strata": "stratum"}),
        "all spells, clustered by user": (lambda rng: worlds.frailty_groups(200, rng), {"cluster": "user_id"}),
    }
    for case, (world, way) in worlds_of.items():
        ratio, difference = Tally(0.0), Tally(0.0)
        for rng in replications(f"test effects {case}", n):
            row = logrank(world(rng), by="group", level=LEVEL, **way).effects.iloc[0]
            ratio.take(*np.log(row[["hazard_ratio", "hr_lower", "hr_upper"]].to_numpy(dtype=float)))
            difference.take(row["rmst_difference"], row["rmst_lower"], row["rmst_upper"])
        figures.append(ratio.coverage(f"hazard ratio, {case}", gated=True))
        # means are over all strata, of which groups have different shares: only the second world compares them
        if "strata" not in way:
            figures.append(difference.coverage(f"difference of mean days, {case}", gated=True))
    return figures


EXPERIMENTS: dict[str, Callable[[int], list[Figure]]] = {
    "weighted_tests": weighted_tests,
    "weighted_recurrent_spells": weighted_recurrent_spells,
    "adjusted_pairs": adjusted_pairs,
    "effects_of_tests": effects_of_tests,
}
