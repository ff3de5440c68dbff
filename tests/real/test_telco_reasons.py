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

from churnsurv.data import ActivityLog
from churnsurv.diagnosis import ChurnReasons, churn_reasons
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


LAST_DAY = pd.Timestamp("2024-12-31")


@pytest.fixture(scope="module")
def rows(telco_folder: Path) -> pd.DataFrame:
    table = pd.read_csv(telco_folder / "telco_churn_with_reasons.csv.gz")
    table = table.rename(columns={"Tenure Months": "months", "Churn Value": "left", "Churn Reason": "code"})
    return table.assign(contract=table["Contract"], user_id=np.arange(len(table)))


def asked(rows: pd.DataFrame, told: pd.DataFrame, **settings: object) -> ChurnReasons:
    """The customers as users who log in every 30 days for so many months; who left was last seen 75 days before."""
    last = LAST_DAY - pd.to_timedelta(rows["left"] * 75, unit="D")
    first = last - pd.to_timedelta(30 * rows["months"], unit="D")
    visits = rows["months"].to_numpy()
    nth = np.arange(visits.sum()) - np.repeat(np.cumsum(visits) - visits, visits) + 1
    events = pd.DataFrame(
        {
            "user_id": np.repeat(rows["user_id"].to_numpy(), visits),
            "event_at": np.repeat(first.to_numpy(), visits) + nth * np.timedelta64(30, "D"),
            "kind": "login",
        }
    )
    users = rows[["user_id", "contract"]].assign(registered_at=first)
    feedback = told.assign(date=last[told.index] + pd.Timedelta(days=40)).rename(columns={"code": "reason"})
    log = ActivityLog(
        events, users, feedback=feedback[["user_id", "date", "reason"]], observed_until=str(LAST_DAY.date())
    )
    how = {"mapping": {code: kind(code) for code in rows["code"].dropna().unique()}, "models": False, "horizon": None}
    return churn_reasons(log, **{**how, "weights_on": ["contract", "tenure"], **settings})  # type: ignore[arg-type]


def test_twenty_codes_are_five_reasons_and_those_who_do_not_know(rows: pd.DataFrame) -> None:
    found = asked(rows, rows.dropna(subset=["code"]), by="contract")
    assert found.counts["churns"] == 1869
    assert found.counts["known"] == 1869 - 154
    assert found.unmapped.to_dict("records") == [{"code": "Don't know", "n": 154, "n_users": 154}]
    assert found.table["n"].sum() == 1869 - 154
    own = rows.dropna(subset=["code"]).assign(reason=lambda table: table["code"].map(kind))
    counts = own.groupby("contract")["reason"].value_counts()
    for row in found.table.itertuples():
        mine = own.loc[own["contract"] == row.contract, "reason"]
        n, silent = counts.get((row.contract, row.reason), 0), mine.isna().sum()
        assert row.n == n
        assert (row.bound_lower, row.bound_upper) == pytest.approx((n / mine.size, (n + silent) / mine.size))
        assert row.bound_lower <= row.weighted_share <= row.bound_upper


def test_reasons_that_are_hidden_by_contract_and_tenure_are_found_again(rows: pd.DataFrame) -> None:
    """Of those who know, customers of long contracts and long tenure answer much more often."""
    knows = rows[rows["code"].map(kind, na_action="ignore").notna()]
    logit = -1.6 + 1.5 * (knows["contract"] != "Month-to-month") + 0.35 * np.log2(1 + knows["months"])
    answers = np.random.default_rng(3).random(len(knows)) < 1 / (1 + np.exp(-logit))
    left = rows[(rows["left"] == 0) | rows.index.isin(knows.index)]
    found = asked(left, knows[answers]).table.set_index("reason")
    truth = knows["code"].map(kind).value_counts(normalize=True).reindex(found.index)
    assert ((found["weighted_lower"] < truth) & (truth < found["weighted_upper"])).all()
    assert ((found["bound_lower"] <= truth) & (truth <= found["bound_upper"])).all()
