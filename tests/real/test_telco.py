"""Curves, test and model on the telecom's customers, against plain loops over the rows."""

from __future__ import annotations

import csv
import gzip
import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch

HOW = {"duration": "Tenure Months", "event": "Churn Value"}


@pytest.fixture(scope="module")
def customers(telco_folder: Path) -> list[tuple[int, int, str]]:
    with gzip.open(telco_folder / "telco_churn_with_reasons.csv.gz", "rt", encoding="utf-8", newline="") as file:
        return [(int(r["Tenure Months"]), int(r["Churn Value"]), r["Contract"]) for r in csv.DictReader(file)]


@pytest.fixture(scope="module")
def table(customers: list[tuple[int, int, str]]) -> pd.DataFrame:
    return pd.DataFrame(customers, columns=["Tenure Months", "Churn Value", "Contract"])


def test_curves_equal_the_product_over_days(customers: list[tuple[int, int, str]], table: pd.DataFrame) -> None:
    curves = ch.kaplan_meier(table, by="Contract", **HOW)
    groups = defaultdict(list)
    for tenure, churned, contract in customers:
        groups[contract].append((tenure, churned))
    assert sorted(curves.groups) == sorted(groups)
    for contract, rows in groups.items():
        survival, greenwood, at_risk = 1.0, 0.0, len(rows)
        expected = {}
        for day in sorted({tenure for tenure, _ in rows}):
            churns = sum(1 for tenure, churned in rows if tenure == day and churned)
            survival *= 1 - churns / at_risk
            greenwood += churns / (at_risk * (at_risk - churns)) if churns < at_risk else math.nan
            expected[day] = (survival, survival * math.sqrt(greenwood), at_risk, churns)
            at_risk -= sum(1 for tenure, _ in rows if tenure == day)
        found = curves.table[curves.table["group"] == contract].set_index("time")
        found = found.loc[sorted(expected), ["survival", "std_error", "n_at_risk", "n_events"]]
        np.testing.assert_allclose(found.to_numpy(float), list(expected.values()), rtol=1e-10)


def test_churn_on_day_zero_counts(customers: list[tuple[int, int, str]], table: pd.DataFrame) -> None:
    """Eleven customers have tenure 0; without an entry they are at risk from before day 0."""
    first = ch.kaplan_meier(table, **HOW).table.query("time == 0").iloc[0]
    assert (first["n_at_risk"], first["n_events"], first["n_censored"]) == (7043, 0, 11)
    assert sum(tenure == 0 for tenure, _, _ in customers) == 11


def test_logrank_equals_the_sum_over_days(customers: list[tuple[int, int, str]], table: pd.DataFrame) -> None:
    names = sorted({contract for _, _, contract in customers})
    total, variance = np.zeros(len(names)), np.zeros((len(names), len(names)))
    for day in sorted({tenure for tenure, churned, _ in customers if churned}):
        at_risk = np.array([sum(t >= day and c == name for t, _, c in customers) for name in names], float)
        churns = np.array([sum(t == day and e and c == name for t, e, c in customers) for name in names], float)
        n, d = at_risk.sum(), churns.sum()
        share = at_risk / n
        total += churns - d * share
        variance += d * (n - d) / (n - 1) * (np.diag(share) - np.outer(share, share))
    statistic = total[1:] @ np.linalg.solve(variance[1:, 1:], total[1:])
    found = ch.logrank(table, by="Contract", **HOW)
    assert found.df == 2
    assert found.statistic == pytest.approx(statistic, rel=1e-10)


def test_cox_null_log_likelihood_is_efrons(customers: list[tuple[int, int, str]], table: pd.DataFrame) -> None:
    """The null log-likelihood, term by term: l = 0..d-1 of the churners of a month leave the sum one by one."""
    expected = 0.0
    for day in sorted({tenure for tenure, churned, _ in customers if churned}):
        n = sum(tenure >= day for tenure, _, _ in customers)
        d = sum(tenure == day and churned for tenure, churned, _ in customers)
        expected -= sum(math.log(n - k) for k in range(d))
    fit = ch.cox("Contract", table, **HOW)
    assert fit.log_likelihood_null == pytest.approx(expected, rel=1e-12)
    assert fit.n_events == sum(churned for _, churned, _ in customers)
    hazard_ratio = fit.table.set_index("category")["hazard_ratio"]
    assert hazard_ratio["Two year"] < hazard_ratio["One year"] < 1
