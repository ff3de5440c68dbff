"""The simulated app against its own truth, in many samples: hazard ratios, shares of the churned, churn by horizon."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from functools import cache

import numpy as np
import pandas as pd

import churnsurv as ch
from churnsurv.diagnosis.structure import _Asked, _by_variable
from churnsurv.simulation.formal_churn import churn_day_pmf, registration_groups
from churnsurv.simulation.model import MODEL, SCENARIOS
from churnsurv.simulation.world import make_world

from .figures import LEVEL, Figure, Tally

__all__ = ["EXPERIMENTS"]

BATCH, SAMPLE = 40, 1_000


def recovered_truth(n: int) -> list[Figure]:
    """The simulated app in samples of 1,000 users: six hazard ratios of the grouped fit against the truth.

    The hazards are not proportional, so that the truth is what the fit tends to, and errors are asked for that hold
    then (`cluster="user_id"`). The intervals of all terms count, so that fewer samples will do. In the
    same samples: P(churned by day 90 and 180) by channel, and its share of the churned, against the exact law.
    """
    samples = -(-n * 17 // 100)
    app = ch.simulate_app(10, campaigns=())
    truth = {term: Tally(float(np.log(ratio))) for term, ratio in app.truth.hazard_ratios.items()}
    model = {term: Tally(tally.truth) for term, tally in truth.items()}
    shares, by_horizon = _app_truth()
    alone = {key: Tally(value) for key, value in shares.items()}
    at = {key: Tally(value) for key, value in by_horizon.items()}
    options = {"ties": "grouped", "reference": app.truth.reference, "level": LEVEL}
    for spells, until in _samples(samples):
        for tallies, cluster in ((truth, "user_id"), (model, None)):
            for row in ch.cox(app.truth.formula, spells, cluster=cluster, **options).table.to_dict("records"):
                tallies[row["term"]].take(row["estimate"], row["lower"], row["upper"], row["std_error"])
        asked = _Asked((90, 180), 1, int(spells["churned"].sum()), 1 - 5 * (1 - LEVEL), until)
        table, _, _ = _by_variable(("channel",), spells, None, ch.Stages(), asked)
        for r in table.itertuples():
            alone[r.group].take(r.share, r.share_lower, r.share_upper)
        asked = _Asked((90, 180), 1, int(spells["churned"].sum()), LEVEL, until)
        _, rows, _ = _by_variable(("channel",), spells, None, ch.Stages(), asked)
        for r in rows.to_dict("records"):
            at[r["group"], r["horizon"]].take(r["churned"], r["lower"], r["upper"], r["std_error"])
    return [
        _pooled("hazard ratios, robust", truth.values(), gated=True),
        _pooled("hazard ratios, as if hazards were proportional", model.values(), gated=False),
        _pooled("shares of the churned by channel, alone", alone.values(), gated=True),
        _pooled("churned by day 90 and 180, by channel", at.values(), gated=True),
    ]


def _pooled(case: str, tallies: Iterable[Tally], *, gated: bool) -> Figure:
    every = Tally(0.0)
    for tally in tallies:
        every.covered += tally.covered
        every.missing += tally.missing
    return every.coverage(case, gated=gated)


def _samples(n: int) -> Iterator[tuple[pd.DataFrame, date]]:
    """First spells of so many samples, of apps of several samples each: users do not depend on each other."""
    left, seed = n, 20261123
    while left:
        size_of = min(left, BATCH)
        app = ch.simulate_app(size_of * SAMPLE, seed=seed, campaigns=())
        spells = app.log.churn_spells().table
        for k in range(size_of):
            yield spells.iloc[k * SAMPLE : (k + 1) * SAMPLE].reset_index(drop=True), app.observed_until
        left, seed = left - size_of, seed + 1


@cache
def _app_truth() -> tuple[dict[str, float], dict[tuple[str, int], float]]:
    """Shares of the churned by channel at the end of the log, and churn by horizon, by the law of the model."""
    world = make_world(MODEL, SCENARIOS["steady"], 0, campaigns=(), shocks=(), problems=())
    groups = registration_groups(world)
    pmf = churn_day_pmf(world, groups.channel, groups.burst, horizon=MODEL.days - 1)
    by_end = (np.cumsum(pmf, axis=1)[:, ::-1] * groups.registered).sum(axis=1)
    weight = groups.registered.sum(axis=1)
    names = [channel.name for channel in MODEL.channels]
    churned = {name: by_end[groups.channel == i].sum() for i, name in enumerate(names)}
    shares = {name: float(value / sum(churned.values())) for name, value in churned.items()}
    at = {
        (name, horizon): float(np.average(np.cumsum(pmf, axis=1)[groups.channel == i, horizon],
                                          weights=weight[groups.channel == i]))
        for i, name in enumerate(names) for horizon in (90, 180)
    }  # fmt: skip
    return shares, at


EXPERIMENTS: dict[str, Callable[[int], list[Figure]]] = {"recovered_truth": recovered_truth}
