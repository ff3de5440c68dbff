"""Why the telecom's customers left: incidence, Gray's test and Fine-Gray, against plain loops over the rows."""

from __future__ import annotations

import csv
import gzip
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from churnsurv.survival.competing import cumulative_incidence
from churnsurv.survival.fine_gray import fine_gray
from churnsurv.survival.fine_gray_fit import incidence_totals
from churnsurv.survival.gray import gray_test

HOW = {"duration": "Tenure Months", "event": "Churn Value"}


def kind(reason: str) -> str | None:
    """The twenty reasons in five kinds; "Don't know" is none."""
    if reason in ("", "Don't know"):
        return None
    if reason.startswith("Competitor"):
        return "competitor"
    if "support" in reason or "Attitude" in reason or "Service" in reason:
        return "service"
    if "charges" in reason or "Price" in reason:
        return "price"
    return "life" if reason in ("Moved", "Deceased") else "product"


@pytest.fixture(scope="module")
def customers(telco_folder: Path) -> list[tuple[int, int, str, str | None]]:
    with gzip.open(telco_folder / "telco_churn_with_reasons.csv.gz", "rt", encoding="utf-8", newline="") as file:
        return [
            (int(r["Tenure Months"]), int(r["Churn Value"]), r["Contract"], kind(r["Churn Reason"]))
            for r in csv.DictReader(file)
        ]


@pytest.fixture(scope="module")
def table(customers: list[tuple[int, int, str, str | None]]) -> pd.DataFrame:
    return pd.DataFrame(customers, columns=["Tenure Months", "Churn Value", "Contract", "reason"])


def test_incidence_equals_the_sum_over_months(
    customers: list[tuple[int, int, str, str | None]], table: pd.DataFrame
) -> None:
    found = cumulative_incidence(table, cause="reason", **HOW)
    assert found.causes == ("competitor", "life", "price", "product", "service", "unknown")
    months = sorted({tenure for tenure, *_ in customers})
    survival, total = Fraction(1), dict.fromkeys(found.causes, Fraction(0))
    expected: dict[str, list[float]] = {cause: [] for cause in found.causes}
    at_risk = len(customers)
    for month in months:
        left = [reason or "unknown" for tenure, churned, _, reason in customers if tenure == month and churned]
        for cause in found.causes:
            total[cause] += survival * Fraction(left.count(cause), at_risk)
            expected[cause].append(float(total[cause]))
        survival *= 1 - Fraction(len(left), at_risk)
        at_risk -= sum(tenure == month for tenure, *_ in customers)
    for cause, rows in found.table.groupby("cause"):
        np.testing.assert_allclose(rows.set_index("time")["incidence"].loc[months], expected[cause], rtol=1e-12)


def test_delta_variance_equals_its_double_sum(
    customers: list[tuple[int, int, str, str | None]], table: pd.DataFrame
) -> None:
    """The formula of Gray (1988), term by term, for competitors at two years."""
    end, survival, incidence = 24, 1.0, 0.0
    steps = []
    for month in range(end + 1):
        n = sum(tenure >= month for tenure, *_ in customers)
        own = sum(t == month and c and r == "competitor" for t, c, _, r in customers)
        others = sum(t == month and c and r != "competitor" for t, c, _, r in customers)
        before = survival
        incidence += before * own / n
        survival *= 1 - (own + others) / n
        steps.append((before / n, n, own, others, survival, incidence))
    variance = 0.0
    for p, n, own, others, after, here in steps:
        change = (incidence - here) / after
        for d, size in ((own, 1 - change), (others, change)):
            variance += p**2 * d * (1 - (d - 1) / (n - 1) if d > 1 else 1) * size**2
    found = cumulative_incidence(table, cause="reason", variance="delta", **HOW).at(end).set_index("cause")
    assert found.loc["competitor", "std_error"] == pytest.approx(math.sqrt(variance), rel=1e-11)
    jackknife = cumulative_incidence(table, cause="reason", **HOW).at(end).set_index("cause")
    np.testing.assert_allclose(jackknife["std_error"], found["std_error"], rtol=0.01)


def test_what_the_154_who_do_not_know_may_have_meant(table: pd.DataFrame) -> None:
    found = cumulative_incidence(table, cause="reason", **HOW)
    assert "154 of 1,869 churns have no known 'reason'" in found.notes[0]
    at = found.at(72).set_index("cause")["incidence"]
    for cause in ("competitor", "price"):
        bounds = found.bounds(cause, 72).iloc[0]
        assert bounds["highest"] - bounds["lowest"] == pytest.approx(at["unknown"])
        assert bounds["lowest"] < bounds["missing_at_random"] < bounds["highest"]
        assert bounds["missing_at_random"] / bounds["lowest"] == pytest.approx(1869 / (1869 - 154), rel=0.05)


def test_contracts_hold_customers_against_every_reason(table: pd.DataFrame) -> None:
    tests = gray_test(table, cause="reason", by="Contract", **HOW)
    assert (tests.table["p_adjusted"] < 1e-6).all()
    ratios = tests.effects.set_index(["cause", "group"])["hazard_ratio"]
    for cause in tests.causes:
        if not math.isnan(ratios[cause, "Two year"]):
            assert ratios[cause, "Two year"] < ratios[cause, "One year"] < 1


def test_fine_gray_without_covariates_to_speak_of_is_the_incidence(table: pd.DataFrame) -> None:
    """At coefficients near zero the baseline is the incidence of the cause, up to the difference of exp and product."""
    noise = table.assign(noise=np.random.default_rng(0).normal(size=len(table)))
    fits = [fine_gray("noise", noise, cause="reason", cause_of_interest=c, **HOW) for c in ("competitor", "price")]
    at = cumulative_incidence(table, cause="reason", **HOW).at([12, 60]).set_index(["cause", "time"])["incidence"]
    for fit in fits:
        found = fit.incidence(pd.DataFrame({"noise": [0.0]}), [12, 60])
        np.testing.assert_allclose(found.values[0], at[fit.cause_of_interest], rtol=0.01)
        assert abs(fit.table["statistic"].iloc[0]) < 3
    totals = incidence_totals(fits, pd.DataFrame({"noise": [0.0]}), 60)
    assert totals["total"].iloc[0] < 1
