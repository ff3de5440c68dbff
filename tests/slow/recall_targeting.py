"""Targeting, uplift scores and budgets: coverage on censored returns, and rankings that say nothing.

Of users with the score s, uniform on (0, 1), .1 + .1 s return by themselves within ten days, and lift s more with a
contact; those with a high score return later. So effect(q) = lift (1 - q / 2), toc(q) = lift (1 - q) / 2, the areas are
lift / 4 and lift / 12, and the budget's optimum is known as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from churnsurv.data.assigned import CampaignRows
from churnsurv.recall.budget import budget_curve
from churnsurv.recall.targeting import targeting_curve
from churnsurv.recall.uplift_scores import uplift_scores
from tests.recall.campaign import made_rows

from .figures import COVERAGE, LEVEL, Figure, Tally, replications, size

__all__ = ["EXPERIMENTS"]

HORIZON, LIFT = 10, 0.2
SHARES = np.array([0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
ARMS = ("holdout", "push", "sms")


def returns(
    n: int, rng: np.random.Generator, *, treated: float, censored: float, lift: tuple[float, ...]
) -> CampaignRows:
    """Arms of fixed size; `censored` of all users are followed for 1 to 9 days."""
    s = rng.random(n)
    sizes = [n - round(treated * n), *np.full(len(lift), round(treated * n) // len(lift))]
    arm = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    chance = 0.1 + 0.1 * s + np.append(0.0, lift)[arm] * s
    return made_rows(
        time=1 + rng.binomial(HORIZON - 1, 0.3 + 0.4 * s), returned=rng.random(n) < chance, arm=arm, horizon=HORIZON,
        followed=np.where(rng.random(n) < censored, rng.integers(1, HORIZON, n), HORIZON + 5),
        arms=ARMS if len(lift) == 2 else ("holdout", "sms"), pre={"s": s, "other": rng.random(n)},
    )  # fmt: skip


CASES = {
    "2,000 users, half in the hold-out": (2000, 0.5, 0.0, True),
    "2,000 users, half in the hold-out, 60 % censored": (2000, 0.5, 0.6, True),
    "8,000 users, a tenth in the hold-out, 30 % censored": (8000, 0.9, 0.3, True),
    "400 users, half in the hold-out, 30 % censored": (400, 0.5, 0.3, False),
}


def targeting_curves(n: int) -> list[Figure]:
    """Effect and toc at some shares, areas, and bands over eleven shares."""
    figures = []
    for case, (users, treated, censored, gated) in CASES.items():
        tallies = {(m, q): Tally(1000 * _truth(m, q)) for m in ("effect", "toc") for q in (0.1, 0.3, 0.6)}
        areas = {"autoc": Tally(1000 * LIFT / 4), "qini_area": Tally(1000 * LIFT / 12)}
        bands: dict[str, list[bool]] = {"effect": [], "toc": []}
        for rng in replications(case, n):
            rows = returns(users, rng, treated=treated, censored=censored, lift=(LIFT,))
            curve = targeting_curve(rows, scores="s", covariates=(), shares=SHARES, level=LEVEL)
            table = curve.table.set_index(["measure", "share"])
            for key, tally in tallies.items():
                tally.add(table.loc[key])
            for _, row in curve.rates.iterrows():
                areas[row["measure"]].add(row)
            for measure, held in bands.items():
                band = table.loc[measure].dropna(subset=["band_lower"])
                truth = 1000 * _truth(measure, band.index.to_numpy())
                held.append(bool(((band["band_lower"] <= truth + 1e-6) & (truth - 1e-6 <= band["band_upper"])).all()))
        for (measure, q), tally in tallies.items():
            where = f"{measure} at {q:g}, {case}"
            figures += [tally.coverage(where, gated=gated), tally.std_error(where, gated=gated)]
        for measure, tally in areas.items():
            figures += [
                tally.coverage(f"{measure}, {case}", gated=gated),
                tally.std_error(f"{measure}, {case}", gated=gated),
            ]
        for measure, held in bands.items():
            share = float(np.mean(held))
            figures.append(
                Figure(f"band of {measure}, {case}", "coverage", share, len(held), COVERAGE if gated else None)
            )
    return figures


def _truth(measure: str, q: float | np.ndarray) -> float | np.ndarray:
    return LIFT * (1 - q / 2) if measure == "effect" else LIFT * (1 - q) / 2


def learnt_rankings_of_nothing(n: int) -> list[Figure]:
    """The same effect on all 600 users; scores are learnt, by ridge regression, and judged on the same campaign."""
    p_values: dict[str, list[float]] = {}
    for i, rng in enumerate(replications("learnt rankings", n)):
        rows = returns(600, rng, treated=0.5, censored=0.3, lift=(0.0,))
        rows = replace(rows, pre={**rows.pre, "third": rng.random(rows.n)})
        found = uplift_scores(rows, covariates=list(rows.pre), folds=4, seed=i)
        scores = {"sequential": found, "out of fold": found.scores["sms"]}
        rates = targeting_curve(rows, scores={"s": scores["sequential"]}, covariates=["s"], shares=[1.0]).rates
        naive = targeting_curve(rows, scores={"s": scores["out of fold"]}, covariates=["s"], shares=[1.0]).rates
        for way, table in (("learnt from earlier folds", rates), ("out of fold, all users in one ranking", naive)):
            p_values.setdefault(way, []).append(float(table["p_value"].iloc[0]))
    return [size(f"autoc, {way}", found, gated="earlier" in way) for way, found in p_values.items()]


def budgets(n: int) -> list[Figure]:
    """Two arms that cost 1 and 3 and bring .2 s and .3 s: 3,000 users, the best allocation by true scores."""
    # contacts from s = 1 - a on, dear ones from s = 1 - b on
    shares = {500.0: (0.5, 0.0), 1200.0: (0.8, 0.2), 2100.0: (0.9, 0.6)}
    truth = {budget: 100 * (1 - (1 - a) ** 2) + 50 * (1 - (1 - b) ** 2) for budget, (a, b) in shares.items()}
    tallies = {budget: Tally(value) for budget, value in truth.items()}
    against = Tally(truth[1200.0] - 100)
    for rng in replications("budgets", n):
        rows = returns(3000, rng, treated=0.6, censored=0.3, lift=(0.2, 0.3))
        s = rows.pre["s"]
        found = budget_curve(
            rows, scores={"push": 0.2 * s, "sms": 0.3 * s}, costs={"push": 1.0, "sms": 3.0}, budgets=list(shares),
            covariates=(), level=LEVEL,
        )  # fmt: skip
        table = found.table[found.table["policy"] == "all arms"].set_index("budget")
        table = table.rename(columns={"gain": "estimate"})
        for budget, tally in tallies.items():
            tally.add(table.loc[budget])
        compared = found.compared[found.compared["policy"] == "push"].set_index("budget")
        against.add(compared.loc[1200.0])
    figures = []
    for budget, tally in tallies.items():
        figures += [
            tally.coverage(f"gain at {budget:,.0f}", gated=True),
            tally.std_error(f"gain at {budget:,.0f}", gated=True),
        ]
    return [*figures, against.coverage("all arms less push alone at 1,200", gated=True)]


EXPERIMENTS: dict[str, Callable[[int], list[Figure]]] = {
    "targeting_curves": targeting_curves,
    "learnt_rankings_of_nothing": learnt_rankings_of_nothing,
    "budgets": budgets,
}
