"""Warning rules on worlds whose cell laws are known: coverage of figures and of the confidence set, and regret.

``python -m tests.slow.tiers`` prints the tables.

`Population` has users of two kinds who recur, cells that depend on the kind and the gap, and a law of gap lengths for
each kind and cell: the share of gaps of each cell that are still silent after d days is known exactly, and so is what
every rule is worth. `regret` learns from logs of the simulated app and judges by its exact probabilities.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from churnsurv.data.gap_counts import GapCounts
from churnsurv.numerics.rule_confidence import Resampled, may_be_best, resampled
from churnsurv.numerics.rule_search import RuleFamily, best_rules, rule_totals
from churnsurv.simulation import simulate_app
from churnsurv.warning.objectives import Saving, Value
from churnsurv.warning.tier_figures import figures, tier_sums
from churnsurv.warning.tier_search import fit_value
from churnsurv.warning.training import GRIDS, Training, train_on

from .figures import LEVEL, Figure, Tally, replications

__all__ = ["BALANCE_100", "coverage", "drift", "main", "regret", "regrets"]

IDLE = 30
DAYS = np.arange(1, IDLE)
PLATEAU, LINEAR = Saving.plateau(top=0.3, middle=20, width=3), Saving.linear(top=0.3, idle_days=30)

# --------------------------------------------------------------------------------------- a population with known laws


class Population:
    """Two kinds of users; variable x has 3 cuts, y has 2; gaps of 1 to 30 days or more."""

    shape = (5, 4)  # with the cells of missing values
    names = ("x", "y")

    def __init__(self) -> None:
        rng = np.random.default_rng(7)
        self.kinds = np.array([0.6, 0.4])
        cells = rng.dirichlet(np.full(12, 2.0), size=2).reshape(2, 4, 3)
        self.cells = np.zeros((2, *self.shape))
        self.cells[:, :4, :3] = 0.95 * cells
        self.cells[:, 4, 0] = 0.05
        # leavers stay away; the others come back by a geometric law; low x leaves more often, by kind more or less
        leaving = np.clip(0.35 - 0.09 * np.arange(5)[:, None] + 0.05 * np.arange(4)[None], 0.03, 0.6)
        self.leaving = np.stack([leaving, np.clip(1.6 * leaving, 0, 0.8)])
        back = np.stack([np.full(self.shape, 0.12), np.full(self.shape, 0.2)])
        stay = (1 - back[..., None]) ** np.arange(IDLE + 1)
        self.silent = self.leaving[..., None] + (1 - self.leaving[..., None]) * stay

    @property
    def law(self) -> np.ndarray:
        """Share of gaps by cell that are longer than d = 0 ... 30 days, all kinds together."""
        found: np.ndarray = np.einsum("k,kij,kijd->ijd", self.kinds, self.cells, self.silent)
        return found

    def training(self, users: int, rng: np.random.Generator, *, blocks: int = 200) -> Training:
        """Gaps of so many users: 1 + Poisson(4) each, whatever the kind."""
        kind = (rng.random(users) < self.kinds[1]).astype(int)
        gaps = 1 + rng.poisson(4.0, users)
        user = np.repeat(np.arange(users), gaps)
        flat = np.cumsum(self.cells.reshape(2, -1), axis=1)
        cell = (rng.random(user.size)[:, None] > flat[kind[user]]).sum(axis=1)
        first, second = np.divmod(np.minimum(cell, 19), 4)
        duration = 1 + (self.silent[kind[user], first, second, 1:] > rng.random(user.size)[:, None]).sum(axis=1)
        return _training((user % blocks, first, second, duration), min(blocks, users))


def _training(rows: tuple[np.ndarray, ...], blocks: int) -> Training:
    """Training over two variables x and y with 3 and 2 cuts."""
    counted = pd.DataFrame(dict(enumerate(rows))).value_counts().reset_index()
    block, first, second, duration, n = (counted[each].to_numpy(np.int64) for each in (0, 1, 2, 3, "count"))
    day = datetime.date(2024, 1, 1)
    counts = GapCounts(
        block=block,
        registration_gap=np.zeros(n.size, dtype=bool),
        cells={"x": first, "y": second},
        period=None,
        duration=duration,
        returned=duration <= IDLE,
        n=n,
        by=(),
        grids={"x": (1.0, 2.0, 3.0), "y": (1.0, 2.0)},
        starts="mature",
        idle_days=IDLE,
        n_users=blocks,
        n_blocks=blocks,
        first_start=day,
        last_start=day,
        n_days=100,
        balance_moves=0,
        _by=None,
    )
    families = RuleFamily(3, 2, IDLE - 1), RuleFamily(2, 3, IDLE - 1)
    gaps = np.bincount(block, n, blocks)
    churned = np.bincount(block, n * (duration > IDLE), blocks)
    return Training(counts, counts.cells, {}, ("x", "y"), ((0, 1), (1, 0)), families, gaps, churned)


def net_benefit(law: np.ndarray, worth: Value) -> np.ndarray:
    """What alerting a cell on a day is worth per gap, from exact shares (..., 31)."""
    return worth.worth(DAYS) * law[..., IDLE:] - float(worth.contact_cost or 0) * law[..., 1:IDLE]


def coverage(n: int, *, users: int = 400, bootstrap: int = 200) -> list[Figure]:
    """Limits of a fixed rule's figures, and how often the confidence set holds the best rule."""
    world, worth = Population(), Value(saved_value=100, contact_cost=6, saving=PLATEAU)
    law, family = world.law, RuleFamily(3, 2, IDLE - 1)
    true = net_benefit(law, worth)
    top = [best_rules(each[None], f) for each, f in ((true, family), (true.swapaxes(0, 1), RuleFamily(2, 3, IDLE - 1)))]
    best = int(np.argmax([each.score[0] for each in top]))
    five = np.array([2, 0, 12, 1, 18])
    tallies = _truths(law, worth, five, family)
    held, sizes = [], []
    for rng in replications("tiers", n):
        training = world.training(users, rng)
        days, never = training.first_day(0, five), np.full(training.counts.n.size, IDLE)
        found = figures(training, tier_sums(training, worth, days, never), level=LEVEL)
        for name, tally in tallies.items():
            tally.take(found[name], found[f"{name}_lower"], found[f"{name}_upper"])
        sets = _confidence_set(training, worth, never, bootstrap, rng)
        held.append(tuple(top[best].rule[0]) in {tuple(rule) for rule in sets[best].rules})
        sizes.append(sum(len(each.rules) for each in sets))
    share = Figure(
        f"confidence set, {np.median(sizes):,.0f} rules (median)", "coverage", float(np.mean(held)), n, (0.95, 1.0)
    )
    return [*(tally.coverage(f"fixed rule, {name}", gated=True) for name, tally in tallies.items()), share]


def _truths(law: np.ndarray, worth: Value, five: np.ndarray, family: RuleFamily) -> dict[str, Tally]:
    alerts, churned = law[..., 1:IDLE], np.repeat(law[..., IDLE:], IDLE - 1, axis=-1)
    lead = churned * (IDLE - DAYS) / IDLE
    total = {
        name: rule_totals(each[None], five[None], family)[0, 0]
        for name, each in (("alerts", alerts), ("churned", churned), ("lead", lead), ("value", net_benefit(law, worth)))
    }
    return {
        "precision": Tally(total["churned"] / total["alerts"]),
        "lead_recall": Tally(total["lead"] / law[..., IDLE].sum()),
        "value": Tally(1000 * total["value"]),
    }


def _confidence_set(training: Training, worth: Value, never: np.ndarray, bootstrap: int, rng: np.random.Generator):
    blocks = training.gaps.size
    weights = rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=bootstrap).astype(float)
    parts = []
    for counts, family in zip(training.alert_counts(never), training.families, strict=True):
        values = worth.worth(DAYS) * counts.churned - float(worth.contact_cost or 0) * counts.alerts
        samples = resampled(values, training.gaps, weights)
        parts.append(Resampled(family, values.sum(axis=0) / training.gaps.sum(), samples))
    return may_be_best(parts, level=LEVEL)[1]


# ------------------------------------------------------------------------------------------------- regret on the app

SETTINGS = {
    "plateau, cost 1": Value(saved_value=100, contact_cost=1, saving=PLATEAU),
    "plateau, cost 5": Value(saved_value=100, contact_cost=5, saving=PLATEAU),
    "plateau, cost 10": Value(saved_value=100, contact_cost=10, saving=PLATEAU),
    "plateau, cost 15": Value(saved_value=100, contact_cost=15, saving=PLATEAU),
    "linear, cost 1": Value(saved_value=100, contact_cost=1, saving=LINEAR),
    "linear, cost 5": Value(saved_value=100, contact_cost=5, saving=LINEAR),
}
#: Under these "idle_days > 15 and balance < 100" is nearly the best rule of the app: its lead over it is below 3 %.
NEAR = {
    f"plateau (.3, {middle}, {width}), cost {cost}": Value(
        saved_value=100, contact_cost=cost, saving=Saving.plateau(top=0.3, middle=middle, width=width)
    )
    for middle, width, cost in ((20, 1, 12), (20, 1, 15), (22, 2, 12), (22, 2, 18))
}
VARIABLES = ("balance", "n_investments")
FAMILIES = RuleFamily(10, 5, IDLE - 1), RuleFamily(5, 10, IDLE - 1)
#: "idle_days > 15 and balance < 100", as a rule over balance and number of investments.
BALANCE_100 = np.array([3, 0, 16, 0, 0])


@cache
def app_law(users: int = 60_000, seed: int = 999_001, scenario: str = "steady", first: str = "", last: str = ""):
    """Mean P(gap > d) by cell, times the share of gaps, over gaps of other users that begin in a window."""
    app = simulate_app(users, seed=seed, scenario=scenario, campaigns=())
    gaps = app.truth.gaps
    start = gaps["start_date"].to_numpy()
    inside = start >= np.datetime64(first or app.balanced_from)
    inside &= start <= np.datetime64(last or app.observed_until)
    cells = [np.searchsorted(GRIDS[name], gaps[name].to_numpy(float)[inside], side="right") for name in VARIABLES]
    silent = app.truth.gap_survival()[inside]
    law = np.zeros((12, 7, IDLE + 1))
    np.add.at(law, tuple(cells), silent)
    return law / inside.sum()


def oracle(law: np.ndarray, worth: Value) -> float:
    """The highest net benefit of any rule, per gap."""
    true = net_benefit(law, worth)
    return max(
        float(best_rules(each[None], family).score[0])
        for each, family in zip((true, true.swapaxes(0, 1)), FAMILIES, strict=True)
    )


def worth_of(law: np.ndarray, worth: Value, pair: int, five: np.ndarray) -> float:
    """The net benefit of a rule, per gap."""
    true = net_benefit(law, worth)
    return float(rule_totals((true.swapaxes(0, 1) if pair else true)[None], five[None], FAMILIES[pair])[0, 0])


@dataclass(frozen=True)
class Judged:
    """One replication: net benefits in truth, per gap."""

    setting: str
    chosen: float
    best: float
    fixed: float

    @property
    def regret(self) -> float:
        return 1 - self.chosen / self.best


def regret(
    seed: int,
    *,
    users: int = 5_000,
    rounded: bool = True,
    settings: dict[str, Value] | None = None,
    law: np.ndarray | None = None,
) -> list[Judged]:
    """Learn rules from one log of the app, and judge them by the exact law."""
    log = simulate_app(users, seed=seed, campaigns=()).log
    training = train_on(log, VARIABLES, grids=None, monotone=None, missing={"balance": 0.0}, until=None, blocks=1000)
    counts = training.alert_counts(np.full(training.counts.n.size, IDLE))
    law = app_law() if law is None else law
    none = np.zeros((0, training.gaps.size))
    found = []
    for name, worth in (settings or SETTINGS).items():
        tier = fit_value(training, worth, counts, none, level=LEVEL, rounded=rounded)
        chosen = worth_of(law, worth, tier.pair, tier.five)
        found.append(Judged(name, chosen, oracle(law, worth), worth_of(law, worth, 0, BALANCE_100)))
    return found


def regrets(n: int, *, first_seed: int = 1, **keywords: object) -> pd.DataFrame:
    """Regret by setting over n logs, and what the learnt rules are worth beside "15 days and 100".

    `above_lower`, `above_upper`: what 95 % of the logs lie within of the learnt value less that of the fixed rule.
    """
    judged = [each for seed in range(first_seed, first_seed + n) for each in regret(seed, **keywords)]
    table = pd.DataFrame([{**each.__dict__, "regret": each.regret} for each in judged])
    table["above_fixed"] = table["chosen"] - table["fixed"]
    by = table.groupby("setting", sort=False)
    return pd.DataFrame(
        {
            "oracle": by["best"].first(),
            "fixed_rule": by["fixed"].first(),
            "mean_value": by["chosen"].mean(),
            "least_value": by["chosen"].min(),
            "above_lower": by["above_fixed"].quantile(0.025),
            "above_upper": by["above_fixed"].quantile(0.975),
            "mean_regret": by["regret"].mean(),
            "regret_95": by["regret"].quantile(0.95),
            "largest_regret": by["regret"].max(),
            "within_3": by["regret"].agg(lambda each: (each <= 0.03).mean()),
            "n": by.size(),
        }
    )


def drift(n: int, *, users: int = 5_000) -> pd.DataFrame:
    """Learn until mid-2024 from logs in which users age, and judge in 2025, against the best rule of the training time.

    `own`: regret in 2025 of the rule that was best in truth over the training window. `excess_95`: 95 % quantile of
    the regret of rules learnt from a log, less that.
    """
    before, after = (
        app_law(40_000, 999_001, "drift", *window)
        for window in (("2022-07-01", "2024-06-30"), ("2025-01-01", "2025-05-30"))
    )
    learnt = {name: [] for name in SETTINGS}
    for seed in range(1, n + 1):
        log = simulate_app(users, seed=seed, scenario="drift", campaigns=()).log
        keywords = {"grids": None, "monotone": None, "missing": {"balance": 0.0}, "blocks": 1000}
        training = train_on(log, VARIABLES, until="2024-07-30", **keywords)
        counts, none = training.alert_counts(np.full(training.counts.n.size, IDLE)), np.zeros((0, training.gaps.size))
        for name, worth in SETTINGS.items():
            tier = fit_value(training, worth, counts, none, level=LEVEL, rounded=True)
            learnt[name].append(worth_of(after, worth, tier.pair, tier.five))
    rows = []
    for name, worth in SETTINGS.items():
        best, top = oracle(after, worth), _best_rule(before, worth)
        own, regret = 1 - worth_of(after, worth, *top) / best, 1 - np.array(learnt[name]) / best
        excess = regret - own
        rows.append((name, own, regret.mean(), np.quantile(excess, 0.95), (excess <= 0.03).mean()))
    return pd.DataFrame(rows, columns=["setting", "own", "mean_regret", "excess_95", "within_3"]).set_index("setting")


def _best_rule(law: np.ndarray, worth: Value) -> tuple[int, np.ndarray]:
    true = net_benefit(law, worth)
    found = [best_rules(each[None], family) for each, family in zip((true, true.swapaxes(0, 1)), FAMILIES, strict=True)]
    pair = int(np.argmax([each.score[0] for each in found]))
    return pair, found[pair].rule[0]


def main(n_coverage: int = 2_000, n_regret: int = 500) -> None:
    """Print the tables."""
    for figure in coverage(n_coverage):
        gate = "" if figure.gate is None else f"{figure.gate[0]:.3f} to {figure.gate[1]:.3f}"
        print(f"| {figure.case} | {figure.measure} | {figure.value:.4f} | {figure.n} | {gate} |")  # noqa: T201
    print(regrets(n_regret, settings=SETTINGS | NEAR).to_string(float_format="{:.4f}".format))  # noqa: T201
    print(drift(n_regret).to_string(float_format="{:.4f}".format))  # noqa: T201


if __name__ == "__main__":
    main()
