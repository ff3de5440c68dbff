"""Coverage of what a backtest says of a frozen scheme: precision, lead-weighted recall, value and its differences.

``python -m tests.slow.backtest`` prints the table.

A scheme is fitted once, to one log of the simulated app in its steady state, and then judged on later days of other
users of it, again and again. The truth comes from the app's exact probabilities that a gap is longer than d days, added
up over the gaps of all replications.
"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterator
from functools import cache

import numpy as np
import pandas as pd
import pyarrow as pa

from churnsurv.data.gap_counts import GapCounts
from churnsurv.simulation import simulate_app
from churnsurv.warning.backtest_judge import Policy
from churnsurv.warning.backtest_material import Material, cuts_of, gaps_of, policies_of
from churnsurv.warning.backtest_origin import FITTED, Asked, judge_material
from churnsurv.warning.backtest_tables import difference_rows, sums_row
from churnsurv.warning.fitting import fit_tiers
from churnsurv.warning.objectives import Precision, Saving, Value
from churnsurv.warning.patterns import Patterns, patterns_of, tiers_by_day
from churnsurv.warning.rules import Condition, Rule
from churnsurv.warning.scheme import TierScheme

from .figures import LEVEL, REPLICATIONS, SEED, Figure, Tally

__all__ = ["coverage", "main"]

IDLE, USERS, BLOCKS = 30, 1_500, 1_000
#: Replications of one simulated app: its users do not depend on one another.
TOGETHER = 8
FIRST, LAST = datetime.date(2024, 9, 1), datetime.date(2024, 11, 29)
WORTH = Value(saved_value=100, contact_cost=5, saving=Saving.plateau(top=0.3, middle=20, width=3))
FIXED = Rule(((Condition("idle_days", ">", 15), Condition("balance", "<", 100)),))
QUANTITIES = ("precision", "row_precision", "lead_recall", "value")


@cache
def frozen(users: int = 4_000) -> TierScheme:
    """A scheme of two tiers, fitted to days before the window."""
    log = simulate_app(users, seed=SEED - 1, campaigns=()).log
    objective = {"high": Precision(target=0.7), "medium": WORTH}
    return fit_tiers(log, objective=objective, missing={"balance": 0}, until="2024-08-31", bootstrap=0)


class Law:
    """Sums over gaps of P(gap > d) by cell of the grid between whose cuts no rule changes."""

    def __init__(self, rules: list[Rule]) -> None:
        self.cuts = cuts_of(rules, {"balance": (100.0,), "n_investments": (1.0,)})
        shape = [len(cuts) + 1 for cuts in self.cuts.values()]
        places = np.array(list(itertools.product(*(range(n) for n in shape))))
        states = {name: np.array([-np.inf, *cuts])[places[:, k]] for k, (name, cuts) in enumerate(self.cuts.items())}
        self.patterns = Patterns(states, np.repeat(np.arange(len(places))[:, None], IDLE, axis=1), ())
        self.shape = shape
        self.silent = np.zeros((len(places), IDLE + 1))

    def cells_of(self, gaps: pd.DataFrame) -> dict[str, np.ndarray]:
        """The cell of each variable of each gap."""
        return {
            name: np.searchsorted(cuts, gaps[name].to_numpy(float), side="right").astype(np.int64)
            for name, cuts in self.cuts.items()
        }

    def add(self, gaps: pd.DataFrame, survival: np.ndarray) -> None:
        """Add gaps and their P(gap > 0), P(gap > 1), ..., P(gap > 30)."""
        np.add.at(self.silent, np.ravel_multi_index(tuple(self.cells_of(gaps).values()), self.shape), survival)

    def truth(self, policy: Policy, members: np.ndarray) -> dict[str, float]:
        """Expected figures of those in a tier, as ratios of expected sums."""
        assert policy.tier.shape == members.shape
        churned = self.silent[:, IDLE]
        there = members[:, 1:]
        fires, first = there.any(axis=1), there.argmax(axis=1) + 1
        alerts = self.silent[np.arange(len(first)), first][fires].sum()
        right, left = churned[fires], (IDLE - first)[fires]
        worth = right @ WORTH.worth(np.arange(1, IDLE))[first[fires] - 1] - float(WORTH.contact_cost or 0) * alerts
        rows = (self.silent[:, :IDLE] * members).sum()
        return {
            "precision": right.sum() / alerts,
            "row_precision": (churned[:, None] * members).sum() / rows,
            "lead_recall": (right @ left) / IDLE / churned.sum(),
            "value": 1000 * worth / self.silent[:, 0].sum(),
        }


def _counts(gaps: pd.DataFrame, law: Law) -> GapCounts:
    user, lasts = gaps["user_id"].to_numpy(), gaps["duration"].to_numpy()
    churned = ~gaps["returned"].to_numpy() | (lasts > IDLE)
    return GapCounts(
        block=(user % BLOCKS).astype(np.int64),
        registration_gap=(gaps["gap"] == 1).to_numpy(),
        cells=law.cells_of(gaps),
        period=None,
        duration=np.where(churned, IDLE + 1, lasts).astype(np.int64),
        returned=~churned,
        n=np.ones(len(gaps), dtype=np.int64),
        by=(),
        grids=law.cuts,
        starts="mature",
        idle_days=IDLE,
        n_users=USERS,
        n_blocks=BLOCKS,
        first_start=FIRST,
        last_start=LAST,
        n_days=(LAST - FIRST).days + 1,
        balance_moves=0,
        _by=pa.table({}),
    )


def _windows(n: int, law: Law) -> Iterator[GapCounts]:
    """The gaps of the window of each replication; adds to the law as it goes."""
    for place in range(0, n, TOGETHER):
        parts = min(TOGETHER, n - place)
        app = simulate_app(USERS * parts, seed=SEED + place, campaigns=())
        gaps = app.truth.gaps
        inside = gaps["start_date"].between(pd.Timestamp(FIRST), pd.Timestamp(LAST)).to_numpy()
        survival, gaps = app.truth.gap_survival()[inside], gaps[inside]
        law.add(gaps, survival)
        part = (gaps["user_id"].to_numpy() - 1) // USERS
        for each in range(parts):
            yield _counts(gaps[part == each], law)


def _policy(rules: list[Rule], patterns: Patterns) -> Policy:
    return Policy(tiers_by_day(rules, patterns), (float("inf"),) * len(rules))


def _material(counts: GapCounts, scheme: TierScheme) -> Material:
    patterns = patterns_of([counts], scheme.missing)
    gaps = gaps_of(counts, patterns, 0, FIRST, LAST, limited=False)
    return Material(
        gaps=gaps,
        fitted=_policy([tier.rule for tier in scheme.tiers], patterns),
        urgency=None,
        mostly=None,
        beside=gaps,
        compared=policies_of({str(FIXED): FIXED}, patterns),
        n_users=USERS,
    )


def coverage(n: int = REPLICATIONS) -> list[Figure]:
    """How often the limits of each figure hold the truth."""
    scheme = frozen()
    rules = [tier.rule for tier in scheme.tiers]
    law, asked = Law([*rules, FIXED]), Asked({}, (), WORTH, (IDLE,))
    found: dict[tuple[str, str, str], list[dict[str, float]]] = {}
    for counts in _windows(n, law):
        judged = judge_material(_material(counts, scheme), scheme, asked)
        for (policy, tier), sums in judged.sums.items():
            row = sums_row(sums, idle_days=IDLE, level=LEVEL)
            for name in QUANTITIES:
                limits = {"estimate": row[name], "lower": row[f"{name}_lower"], "upper": row[f"{name}_upper"]}
                found.setdefault((policy, tier or "any", name), []).append(limits)
        gaps = judged.sums[FITTED, None].gaps
        for row in difference_rows(judged.values, gaps, fitted=FITTED, level=LEVEL):
            found.setdefault((FITTED, row["tier"], "difference"), []).append(row)
    truths = _truths(law, scheme, rules)
    figures = []
    for key, rows in found.items():
        tally = Tally(truths[key])
        for row in rows:
            tally.take(row["estimate"], row["lower"], row["upper"], row.get("std_error", np.nan))
        policy, tier, name = key
        figures.append(tally.coverage(f"{policy}, {tier}: {name}", gated=True))
    return figures


def _truths(law: Law, scheme: TierScheme, rules: list[Rule]) -> dict[tuple[str, str, str], float]:
    fitted, fixed = _policy(rules, law.patterns), _policy([FIXED], law.patterns)
    names = [tier.name for tier in scheme.tiers]
    members = {(FITTED, name): (fitted, fitted.members(k)) for k, name in enumerate(names)}
    members |= {(FITTED, "any"): (fitted, fitted.members()), (str(FIXED), "any"): (fixed, fixed.members())}
    truths = {(*key, name): law.truth(*each)[name] for key, each in members.items() for name in QUANTITIES}
    other = truths[str(FIXED), "any", "value"]
    for k, name in enumerate(names):
        mine = law.truth(fitted, fitted.tier <= k)["value"]
        truths[FITTED, name, "difference"] = mine - other
    return truths


def main(n: int = REPLICATIONS) -> None:
    """Print the table."""
    for tier in frozen().tiers:
        print(f"{tier.name}: {tier.rule}")  # noqa: T201
    for figure in coverage(n):
        gate = "" if figure.gate is None else f"{figure.gate[0]:.3f} to {figure.gate[1]:.3f}"
        print(f"| {figure.case} | {figure.measure} | {figure.value:.4f} | {figure.n} | {gate} |")  # noqa: T201


if __name__ == "__main__":
    main()
