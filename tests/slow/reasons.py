"""Shares of reasons where who answers depends on channel and tenure: intervals, bounds, and incidences.

The world is the simulated app: its churned users of first spells, whose true reasons are known, are the population;
a replication draws users from it with replacement, and lets each answer with a chance by channel and tenure. So the
truth is the share in the population, exactly, and the incidence by Aalen and Johansen with all reasons known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pandas as pd

import churnsurv as ch
from churnsurv.data.arrow import to_pandas
from churnsurv.data.feedback import asked_churns
from churnsurv.diagnosis.reasons_response import response_model
from churnsurv.diagnosis.reasons_tables import Explained, explained, incidence_rows, share_rows
from churnsurv.survival.competing import cumulative_incidence

from .figures import LEVEL, Figure, Tally, replications

__all__ = ["EXPERIMENTS", "chance_to_answer", "true_answers"]

ON = ["channel", "tenure", "stage", "n_investments"]
BY_CHANNEL = {"organic": 0.4, "advertising": -0.1, "distribution": -0.5, "invitation": 0.6, "wealth_supermarket": -0.3}
AT_LEAST = (0.935, 1.0)
CERTAIN = (1.0, 1.0)
DAYS = (45, 120, 365)
RARE = 0.08


def true_answers(app: ch.SimulatedApp) -> pd.DataFrame:
    """Everybody who left says why, on the day after the thirtieth idle one."""
    left = app.truth.reasons
    return left.assign(date=left["date"] + pd.Timedelta(days=31))[["user_id", "date", "reason"]]


def chance_to_answer(rows: pd.DataFrame) -> np.ndarray:
    """By channel and tenure: those who stayed longer answer much more often."""
    channel = rows["channel"].astype(object).map(BY_CHANNEL).to_numpy(dtype=np.float64)
    tenure = np.log2(1 + rows["tenure"].to_numpy(dtype=np.float64))
    return 1 / (1 + np.exp(-(-1.8 + channel + 0.25 * tenure)))


@lru_cache(maxsize=1)
def population() -> pd.DataFrame:
    """First spells of the app; of those who churned the ones who had left, with their reason."""
    app = ch.simulate_app(4_000, seed=5)
    asked = asked_churns(app.log, feedback=true_answers(app), within=30)
    spells, answers = to_pandas(asked.spells), to_pandas(asked.answers)
    mine = answers[answers["status"] == "counts"].drop_duplicates("place")
    reason = pd.Series(None, index=spells.index, dtype=object)
    reason.iloc[mine["place"].to_numpy(dtype=int)] = mine["code"].to_numpy(dtype=object)
    spells = spells.assign(reason=reason)
    return spells[~spells["churned"] | spells["reason"].notna()].reset_index(drop=True)


def drawn(rng: np.random.Generator, n: int, pool: pd.DataFrame) -> pd.DataFrame:
    """Users drawn from the population, and the reasons of those who answer."""
    rows = pool.iloc[rng.integers(0, len(pool), n)].reset_index(drop=True)
    silent = rng.random(n) >= chance_to_answer(rows)
    return rows.assign(reason=rows["reason"].where(~silent, None), true=rows["reason"])


def _found(rows: pd.DataFrame, labels: tuple[str, ...]) -> tuple[Explained, object]:
    found = explained(rows, [], labels, clustered=False)
    return found, response_model(found.churns, found.known, ON, cluster=None, level=LEVEL).units


def reason_shares(n: int) -> list[Figure]:
    """2,000 churns, two in five with a known reason: weighted shares, plain ones, and bounds; and 500, not gated."""
    pool = population()
    pool = pool[pool["churned"]].reset_index(drop=True)
    truth = pool["reason"].value_counts(normalize=True).sort_index()
    labels = tuple(truth.index)
    figures = []
    for size in (2_000, 500):
        tallies = {(kind, k): Tally(truth[k]) for kind in ("weighted", "plain", "limits") for k in labels}
        inside: list[bool] = []
        for rng in replications(f"reason shares {size}", n):
            rows = drawn(rng, size, pool)
            found, units = _found(rows, labels)
            table = share_rows(found, units, level=LEVEL).set_index("reason")
            own = rows["true"].value_counts(normalize=True).reindex(labels, fill_value=0.0)
            held = (table["bound_lower"] <= own + 1e-12) & (own <= table["bound_upper"] + 1e-12)
            inside.append(bool(held.all()))
            for k, row in table.iterrows():
                tallies["weighted", k].take(row["weighted_share"], row["weighted_lower"], row["weighted_upper"])
                tallies["plain", k].take(row["share"], row["lower"], row["upper"])
                tallies["limits", k].take(np.nan, row["bound_limit_lower"], row["bound_limit_upper"])
        where = f"{size:,} churns"
        for k in labels:
            what = f"{where}, {k} ({truth[k]:.2f})"
            figures.append(tallies["weighted", k].coverage(f"{what}, weighted", gated=size == 2_000))
            figures.append(tallies["plain", k].coverage(f"{what}, plain", gated=False))
            figures.append(tallies["weighted", k].bias(f"{what}, weighted"))
            limits = tallies["limits", k].coverage(f"{what}, limits of the bounds", gated=False)
            figures.append(Figure(limits.case, "coverage", limits.value, limits.n, AT_LEAST))
        figures.append(Figure(f"{where}, bounds hold the shares drawn", "coverage", float(np.mean(inside)), n, CERTAIN))
    return figures


def reason_incidence(n: int) -> list[Figure]:
    """1,500 spells followed for up to a year: incidence by reason, unknown reasons shared out by weights.

    Where it rests on some ten answers (a true incidence below .08) limits cover at least as often as they say.
    """
    pool = population()
    whole = cumulative_incidence(pool, cause="reason").at(DAYS).set_index(["cause", "time"])["incidence"]
    labels = tuple(dict.fromkeys(cause for cause, _ in whole.index))
    tallies = {key: Tally(value) for key, value in whole.items()}
    for rng in replications("reason incidence", n):
        rows = drawn(rng, 1_500, pool)
        found, units = _found(rows, labels)
        table = incidence_rows(rows, found, units, by=[], horizon=365, level=LEVEL)
        for cause, part in table.groupby("cause"):
            for day in DAYS:
                row = part[part["time"] <= day].iloc[-1]
                tallies[cause, day].take(row["incidence"], row["lower"], row["upper"], row["std_error"])
    figures = []
    for (cause, day), tally in tallies.items():
        found_often = tally.coverage(f"{cause}, day {day} ({tally.truth:.3f})", gated=True)
        figures.append(replace(found_often, gate=AT_LEAST) if tally.truth < RARE else found_often)
        figures.append(tally.std_error(f"{cause}, day {day} ({tally.truth:.3f})", gated=True))
    return figures


EXPERIMENTS: dict[str, Callable[[int], list[Figure]]] = {
    "reason_shares": reason_shares,
    "reason_incidence": reason_incidence,
}
