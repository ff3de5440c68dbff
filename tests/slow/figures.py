"""What an experiment counts over its replications, the gates, and the generators: shared by the experiments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
import pandas as pd

__all__ = ["LEVEL", "REPLICATIONS", "Figure", "Tally", "replications", "size"]

SEED = 20261122
REPLICATIONS = 2000

COVERAGE = (0.935, 0.965)
SIZE = (0.035, 0.065)
STD_ERROR = (0.95, 1.05)
LEVEL = 0.95


@dataclass(frozen=True)
class Figure:
    """One figure of an experiment.

    `measure` is "coverage" or "size" (a share of `n` replications), "SE ratio" (mean standard error over the standard
    deviation of the estimates) or "bias" (mean error over that standard deviation). `gate` is None where nothing is
    claimed.
    """

    case: str
    measure: str
    value: float
    n: int
    gate: tuple[float, float] | None

    @property
    def passes(self) -> bool:
        return self.gate is None or self.gate[0] <= self.value <= self.gate[1]


@dataclass
class Tally:
    """Collects estimates and intervals over replications."""

    truth: float
    estimates: list[float] = field(default_factory=list)
    std_errors: list[float] = field(default_factory=list)
    covered: list[bool] = field(default_factory=list)
    missing: int = 0

    def add(self, row: pd.Series) -> None:
        """Take a row with estimate, lower, upper and, where there is one, std_error."""
        self.take(row["estimate"], row["lower"], row["upper"], row.get("std_error", np.nan))

    def take(self, estimate: float, lower: float, upper: float, std_error: float = np.nan) -> None:
        """Take an estimate with its limits; an interval that is not given is counted."""
        self.estimates.append(float(estimate))
        self.std_errors.append(float(std_error))
        if np.isnan(lower) or np.isnan(upper):
            self.missing += 1
        else:
            self.covered.append(bool(lower <= self.truth <= upper))

    def coverage(self, case: str, *, gated: bool) -> Figure:
        """The share of intervals that hold the truth."""
        note = f" ({self.missing} without interval)" if self.missing else ""
        share = float(np.mean(self.covered))
        return Figure(case + note, "coverage", share, len(self.covered), COVERAGE if gated else None)

    def std_error(self, case: str, *, gated: bool) -> Figure:
        """Mean standard error over the standard deviation of the estimates."""
        errors, estimates = np.array(self.std_errors), np.array(self.estimates)
        known = ~np.isnan(errors) & ~np.isnan(estimates)
        ratio = float(errors[known].mean() / estimates[known].std(ddof=1))
        return Figure(case, "SE ratio", ratio, int(known.sum()), STD_ERROR if gated else None)

    def bias(self, case: str) -> Figure:
        """Mean error over the standard deviation of the estimates."""
        estimates = np.array(self.estimates)
        error = float((estimates.mean() - self.truth) / estimates.std(ddof=1))
        return Figure(case, "bias", error, estimates.size, None)


def replications(name: str, n: int) -> Iterator[np.random.Generator]:
    """A generator of its own for each replication, made from the seed, the name and the number."""
    for i in range(n):
        yield np.random.default_rng([SEED, crc32(name.encode()), i])


def size(case: str, p_values: list[float], *, gated: bool = True) -> Figure:
    """The share of tests that reject at 5 %."""
    share = float(np.mean(np.array(p_values) < 1 - LEVEL))
    return Figure(case, "size", share, len(p_values), SIZE if gated else None)
