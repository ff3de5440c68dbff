"""What is measured: inputs with heavy daily ties, and each contestant's shortest honest call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.main_job import our_report, raw_files

DAYS = 730
Run = Callable[[], float]
Contestant = Callable[[pd.DataFrame], Run]


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table: our contestant is called churnsurv, the floor is called limit."""

    title: str
    rows: int
    table: Callable[[int], pd.DataFrame]
    contestants: dict[str, Contestant]
    goals: dict[str, str]
    repeats: int = 3


def curves_table(rows: int) -> pd.DataFrame:
    """Whole days 1..730, about half censored, six channels."""
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "duration": rng.integers(1, DAYS + 1, rows),
            "churned": rng.random(rows) < 0.5,
            "channel": pd.Categorical.from_codes(rng.integers(0, 6, rows), list("abcdef")),
        }
    )


def dense_table(rows: int) -> pd.DataFrame:
    """Twenty numeric covariates, of which five matter; days 1..730, about half censored."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((rows, 20))
    beta = np.r_[np.linspace(-0.4, 0.4, 5), np.zeros(15)]
    life = np.ceil(rng.exponential(600 * np.exp(-x @ beta)))
    stop = rng.integers(1, DAYS + 1, rows)
    table = pd.DataFrame(x, columns=[f"x{j}" for j in range(20)])
    table["duration"] = np.minimum(life, stop).astype(np.int64)
    table["churned"] = life <= stop
    return table


def our_curves(table: pd.DataFrame) -> Run:
    import churnsurv as ch

    return lambda: float(ch.kaplan_meier(table, by="channel").table["survival"].sum())


def lifelines_curves(table: pd.DataFrame) -> Run:
    from lifelines import KaplanMeierFitter

    def run() -> float:
        total = 0.0
        for _, part in table.groupby("channel", observed=True):
            fit = KaplanMeierFitter().fit(part["duration"], part["churned"])
            total += float(fit.survival_function_.iloc[:, 0].sum())
        return total

    return run


def bincount(table: pd.DataFrame) -> Run:
    """The floor of every estimator of this kind: one count by (group, day) of all rows and one of the events."""
    group = table["channel"].cat.codes.to_numpy()
    day = table["duration"].to_numpy()
    churned = table["churned"].to_numpy()

    def run() -> float:
        cell = group * np.int64(DAYS + 1) + day
        size = 6 * (DAYS + 1)
        everyone = np.bincount(cell, minlength=size)
        return float(np.bincount(cell, weights=churned, minlength=size).sum() + everyone.sum())

    return run


def our_logrank(table: pd.DataFrame) -> Run:
    import churnsurv as ch

    return lambda: float(ch.logrank(table, by="channel").statistic)


def lifelines_logrank(table: pd.DataFrame) -> Run:
    from lifelines.statistics import multivariate_logrank_test

    return lambda: float(
        multivariate_logrank_test(table["duration"], table["channel"], table["churned"]).test_statistic
    )


def our_cox(table: pd.DataFrame) -> Run:
    import churnsurv as ch

    formula = " + ".join(name for name in table if name.startswith("x"))
    return lambda: float(ch.cox(formula, table).table["estimate"].sum())


def lifelines_cox(table: pd.DataFrame) -> Run:
    from lifelines import CoxPHFitter

    return lambda: float(CoxPHFitter().fit(table, "duration", "churned").params_.sum())


def scores_table(rows: int) -> pd.DataFrame:
    """Whole days 1..730, about half censored, and a score that says something."""
    rng = np.random.default_rng(4)
    score = rng.standard_normal(rows)
    life = np.ceil(rng.exponential(600 * np.exp(-0.5 * score)))
    stop = rng.integers(1, DAYS + 1, rows)
    return pd.DataFrame({"duration": np.minimum(life, stop).astype(np.int64), "churned": life <= stop, "score": score})


def our_concordance(table: pd.DataFrame) -> Run:
    import churnsurv as ch

    return lambda: ch.concordance(table, score="score").estimate


def lifelines_concordance(table: pd.DataFrame) -> Run:
    """Without a standard error; a high value of theirs means a long life."""
    from lifelines.utils import concordance_index

    return lambda: float(concordance_index(table["duration"], -table["score"], table["churned"]))


def gram_limit(table: pd.DataFrame) -> Run:
    """Five blocked weighted Gram matrices and five products: what five Newton steps cannot do without."""
    from scipy.linalg.blas import dsyrk

    x = table[[name for name in table if name.startswith("x")]].to_numpy()
    root = np.sqrt(np.random.default_rng(3).random(len(x)))
    beta = np.full(x.shape[1], 0.1)

    def run() -> float:
        total = 0.0
        for _ in range(5):
            gram = np.zeros((x.shape[1], x.shape[1]))
            for start in range(0, len(x), 8192):
                block = x[start : start + 8192] * root[start : start + 8192, None]
                gram += dsyrk(1.0, block.T)
            total += float(gram.sum()) + float((x @ beta).sum())
        return total

    return run


CASES: dict[str, Case] = {
    "kaplan_meier": Case(
        "Kaplan-Meier, 6 groups, with intervals",
        10_000_000,
        curves_table,
        {"churnsurv": our_curves, "lifelines": lifelines_curves, "limit": bincount},
        {"limit": "<= 2"},
    ),
    "logrank": Case(
        "log-rank, 6 groups",
        10_000_000,
        curves_table,
        {"churnsurv": our_logrank, "lifelines": lifelines_logrank, "limit": bincount},
        {"limit": "<= 2"},
    ),
    "cox_dense": Case(
        "Cox, Efron, 20 numeric covariates, with standard errors",
        1_000_000,
        dense_table,
        {"churnsurv": our_cox, "lifelines": lifelines_cox, "limit": gram_limit},
        {"lifelines": ">= 10", "limit": "<= 2.5"},
    ),
    "concordance": Case(
        "concordance, ours with a standard error",
        1_000_000,
        scores_table,
        {"churnsurv": our_concordance, "lifelines": lifelines_concordance},
        {"lifelines": ">= 10"},
    ),
    "report": Case(
        "A study from Parquet files to the HTML report, users with about 11 events each",
        1_000_000,
        raw_files,
        {"churnsurv": our_report},
        {},
        repeats=1,
    ),
}
