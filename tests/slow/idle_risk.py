"""Coverage of the idle risk, its crossings and its drift on the simulated app, whose gaps have a known law.

A replication is an app of 1,500 users with about 11 gaps each. Users differ in how often they come and, hidden, in
whether they have left, so that gaps of a user are alike. The truth is the exact law of every gap given its past,
averaged over the gaps of all replications: the risk in an app of the same kind with users without end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, field, replace
from datetime import timedelta
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri

from churnsurv.data.gap_counts import GapCounts
from churnsurv.simulation import simulate_app
from churnsurv.warning.idle_groups import Groups
from churnsurv.warning.idle_tables import Curve, crossing, curves_of, drift

from .figures import COVERAGE, LEVEL, Figure, Tally

__all__ = ["EXPERIMENTS", "counts_of"]

USERS, TOGETHER, IDLE, SEED = 1_500, 10, 30, 700
DAYS, RISKS = (0, 10, 15, 20, 25), (0.25, 0.5, 0.75)
ONE, BINOMIAL = "one block a user", "binomial"
FIRST = pd.Timestamp("2022-07-01")

Floats = NDArray[np.float64]


@dataclass
class _Law:
    """How many gaps longer than d days are expected, of later and of registration gaps; and of later ones by quarter.

    `quarters`: expected churns and gaps by the middle of the quarter in years.
    """

    silent: Floats = field(default_factory=lambda: np.zeros((2, IDLE + 1)))
    quarters: dict[float, Floats] = field(default_factory=dict)

    def add(self, survival: Floats, gaps: pd.DataFrame) -> None:
        """Take gaps with the probability that each lasts longer than 0, 1, ... days."""
        later = (gaps["gap"] > 1).to_numpy()
        self.silent += np.stack([survival[later].sum(axis=0), survival[~later].sum(axis=0)])
        start = gaps["start_date"].dt.to_period("Q")
        span = gaps["start_date"].groupby(start).agg(["min", "max"])
        years = ((span["min"] - FIRST) + (span["max"] - FIRST)) / pd.Timedelta(days=2 * 365.25)
        sums = pd.Series(survival[later, IDLE]).groupby(start[later].map(years).to_numpy()).agg(["sum", "size"])
        for middle, row in sums.iterrows():
            self.quarters[middle] = self.quarters.get(middle, np.zeros(2)) + row.to_numpy(dtype=float)

    def churn(self, day: int, *, registration: bool = False) -> float:
        row = self.silent[int(registration)]
        return float(row[IDLE] / row[day])

    def crossing(self, p: float) -> float:
        curve = np.array([self.churn(day) for day in range(IDLE)])
        return crossing(curve, curve, curve, p)[0]

    def slope(self) -> float:
        churned, n = np.array(list(self.quarters.values())).T
        return float(np.polyfit(np.array(list(self.quarters)), churned / n, 1, w=np.sqrt(n))[0])


def counts_of(gaps: pd.DataFrame, *, until: pd.Timestamp, first: pd.Timestamp, blocks: int | None) -> GapCounts:
    """Mature gaps of users 0 ... n - 1 as `gap_counts` counts them, with a block for each user or random groups."""
    last = until - pd.Timedelta(days=IDLE)
    rows = gaps[gaps["start_date"] <= last]
    user = rows["user"].to_numpy()
    # The order of users says nothing.
    block = user if blocks is None else user % blocks
    churned = ((rows["duration"] > IDLE) | ~rows["returned"]).to_numpy()
    quarter = rows["start_date"].dt.to_period("Q").dt.start_time.to_numpy().astype("datetime64[D]")
    return GapCounts(
        block=block.astype(np.int64),
        registration_gap=(rows["gap"] == 1).to_numpy(),
        cells={},
        period=quarter,
        duration=np.where(churned, IDLE + 1, rows["duration"]).astype(np.int64),
        returned=~churned,
        n=np.ones(len(rows), dtype=np.int64),
        by=(),
        grids={},
        starts="mature",
        idle_days=IDLE,
        n_users=int(user.max()) + 1,
        n_blocks=int(block.max()) + 1,
        first_start=first.date(),
        last_start=last.date(),
        n_days=(last - first).days + 1,
        balance_moves=0,
        _by=pa.table({}),
    )


def _apps(n: int, law: _Law) -> Iterator[tuple[pd.DataFrame, pd.Timestamp, pd.Timestamp]]:
    """The gaps of each replication, with the last and the first day of the log; adds to the law as it goes.

    Users of the app do not depend on one another: a large one is cut into replications.
    """
    for place in range(0, n, TOGETHER):
        app = simulate_app(USERS * min(TOGETHER, n - place), seed=SEED + place, campaigns=())
        gaps = app.truth.gaps
        limit = pd.Timestamp(app.observed_until - timedelta(days=IDLE))
        mature = (gaps["start_date"] <= limit).to_numpy()
        survival = app.truth.gap_survival()[mature]
        gaps = gaps.loc[mature, ["user_id", "gap", "start_date", "duration", "returned"]]
        law.add(survival, gaps)
        user = gaps["user_id"].to_numpy() - 1
        window = pd.Timestamp(app.observed_until), pd.Timestamp(app.observed_from)
        for part in range(min(TOGETHER, n - place)):
            mine = user // USERS == part
            yield gaps[mine].assign(user=user[mine] % USERS), *window


def _binomial(curve: Curve, day: int) -> tuple[float, float, float]:
    """Share and limits that take gaps to be independent."""
    share, n = float(curve.churn.estimate[day]), int(curve.survival.n_at_risk[day])
    half = float(ndtri(0.5 + LEVEL / 2)) / np.sqrt(n * share * (1 - share))
    return share, *expit(logit(share) + np.array([-half, half])).tolist()


@dataclass(frozen=True)
class _Case:
    """What is estimated, of which gaps, and how; `truth` says what it estimates."""

    name: str
    truth: Callable[[_Law], float]
    how: str
    registration: bool = False

    def __str__(self) -> str:
        return f"{self.name}, {'registration' if self.registration else 'later'} gaps, {self.how}"


def _of_curve(curve: Curve, how: str) -> Iterator[tuple[_Case, tuple[float, ...]]]:
    """The risks of a curve with limits and standard error, and of later gaps the crossings."""
    for day in DAYS:
        case = _Case(f"risk on idle day {day}", partial(_Law.churn, day=day, registration=curve.registration_gap), how)
        found = (curve.churn.estimate[day], curve.lower[day], curve.upper[day], curve.churn.std_error[day])
        yield replace(case, registration=curve.registration_gap), tuple(map(float, found))
        if not curve.registration_gap and how == ONE:
            yield replace(case, how=BINOMIAL), _binomial(curve, day)
    if not curve.registration_gap:
        for p in RISKS:
            case = _Case(f"crossing of {100 * p:g} %", partial(_Law.crossing, p=p), how)
            yield case, crossing(curve.churn.estimate, curve.lower, curve.upper, p)


def idle_risk(n: int) -> list[Figure]:
    """The risk by idle day, its crossings and the drift of P(gap > 30): blocks of one user, or 100 of them."""
    law = _Law()
    rows: dict[str, tuple[_Case, list[tuple[float, ...]]]] = {}
    for gaps, until, first in _apps(n, law):
        taken: list[tuple[_Case, tuple[float, ...]]] = []
        for blocks, how in ((None, ONE), (100, "100 blocks")):
            counts = counts_of(gaps, until=until, first=first, blocks=blocks)
            everybody = Groups(np.zeros(counts.n.size, dtype=np.int64), ("all",), pd.DataFrame(index=[0]), None)
            for curve in curves_of(counts, everybody, level=LEVEL):
                taken += _of_curve(curve, how)
            slope = drift(counts, months=3, level=LEVEL)[1]
            assert slope is not None
            taken.append((_Case("change of P(gap > 30) a year", _Law.slope, how), astuple(slope)))
        for case, estimate in taken:
            rows.setdefault(str(case), (case, []))[1].append(estimate)
    return [figure for case, taken in rows.values() for figure in _figures(case, taken, case.truth(law))]


def _figures(case: _Case, rows: list[tuple[float, ...]], truth: float) -> list[Figure]:
    tally = Tally(truth)
    for row in rows:
        tally.take(*row)
    figures = [replace(tally.coverage(str(case), gated=False), gate=None if case.how == BINOMIAL else COVERAGE)]
    if len(rows[0]) == 4 and case.how == ONE:
        figures.append(tally.std_error(str(case), gated=True))
    return figures


EXPERIMENTS: dict[str, Callable[[int], list[Figure]]] = {"idle_risk": idle_risk}
