"""What is measured: inputs with heavy daily ties, and each contestant's shortest honest call."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks import cox_cases as cox
from benchmarks.case import Case, Run
from benchmarks.cox_cases import DAYS
from benchmarks.main_job import our_report, raw_files
from benchmarks.scale_cases import SCALE_CASES


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
        cox.dense_table,
        {
            "churnsurv": cox.ours(),
            "lifelines": cox.lifelines(),
            "survival (Rust)": cox.rust(),
            "R survival": cox.r("cox_dense"),
            "statsmodels": cox.statsmodels(),
            "limit": cox.gram_limit,
        },
        {"lifelines": ">= 10", "survival (Rust)": ">= 10", "limit": "<= 2.5"},
        slow=("statsmodels",),
    ),
    "cox_categories": Case(
        "Cox, Efron, two categories with 6 and 24 values",
        1_000_000,
        cox.categories_table,
        {
            "churnsurv": cox.ours(formula="channel + cohort"),
            "survival (Rust)": cox.rust_categories,
            "R survival": cox.r("cox_categories"),
        },
        {"R survival": ">= 100"},
    ),
    "cox_categories_1e7": Case(
        "The same (goal: 0.3 seconds)",
        10_000_000,
        cox.categories_table,
        {"churnsurv": cox.ours(formula="channel + cohort")},
        {},
    ),
    "cox_strata": Case(
        "Cox, Efron, 20 numeric covariates, stratified by 24 cohorts",
        1_000_000,
        cox.strata_table,
        {
            "churnsurv": cox.ours(strata="cohort"),
            "lifelines": cox.lifelines(strata="cohort"),
            "survival (Rust)": cox.rust(strata="cohort"),
            "R survival": cox.r("cox_strata"),
            "statsmodels": cox.statsmodels(strata="cohort"),
            "limit": cox.gram_limit,
        },
        {"lifelines": ">= 10", "R survival": ">= 10"},
        slow=("statsmodels",),
    ),
    "cox_cluster": Case(
        "Cox, Efron, 20 numeric covariates, cluster-robust by 2,000 teams",
        100_000,
        cox.cluster_table,
        {
            "churnsurv": cox.ours(cluster="team"),
            "survival (Rust)": cox.rust(cluster="team"),
            "statsmodels": cox.statsmodels(groups="team"),
            "R survival": cox.r("cox_cluster"),
            "lifelines": cox.lifelines(cluster_col="team"),
        },
        {"survival (Rust)": ">= 3", "lifelines": ">= 1000"},
        slow=("statsmodels", "R survival", "lifelines"),
    ),
    "cox_start_stop": Case(
        "Cox, Efron, 10 numeric covariates, (start, stop] rows",
        2_200_000,
        cox.start_stop_table,
        {
            "churnsurv": cox.ours(entry="entry"),
            "survival (Rust)": cox.rust(entry="entry"),
            "R survival": cox.r("cox_start_stop"),
            "lifelines": cox.lifelines(entry_col="entry"),
            "statsmodels": cox.statsmodels(entry="entry"),
            "limit": cox.gram_limit,
        },
        {"R survival": ">= 50"},
        slow=("lifelines", "statsmodels"),
    ),
    "ph_test": Case(
        "Test of proportional hazards, 20 numeric covariates; ours with hazard ratios in three windows",
        100_000,
        cox.dense_table,
        {
            "churnsurv": cox.our_ph_test,
            "churnsurv, statistics alone": cox.our_ph_score,
            "survival (Rust)": cox.rust_ph_test,
            "R survival": cox.r("ph_test"),
            "lifelines": cox.lifelines_ph_test,
        },
        {"survival (Rust)": ">= 3", "R survival": ">= 3"},
    ),
    "fine_gray": Case(
        "Fine and Gray, 10 numeric covariates, robust variance; beside it Cox's model of the same rows",
        1_000_000,
        cox.causes_table,
        {
            "churnsurv": cox.our_fine_gray,
            "limit": cox.ours(),
            "churnsurv, Cox with a robust variance": cox.our_robust_cox,
            "R finegray + coxph": cox.r("fine_gray"),
        },
        {"limit": "<= 2 (Cox)"},
        slow=("R finegray + coxph",),
    ),
    "concordance": Case(
        "concordance; lifelines without a standard error",
        1_000_000,
        cox.scores_table,
        {
            "churnsurv": cox.our_concordance,
            "R survival": cox.r("concordance"),
            "survival (Rust)": cox.rust_concordance,
            "lifelines": cox.lifelines_concordance,
        },
        {"R survival": ">= 10", "lifelines": ">= 10"},
    ),
    "report": Case(
        "A study from Parquet files to the HTML report, users with about 47 events each",
        250_000,
        raw_files,
        {"churnsurv": our_report},
        {},
        repeats=1,
        warm_up=0,
    ),
} | SCALE_CASES
