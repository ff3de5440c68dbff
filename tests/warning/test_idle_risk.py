"""The idle risk: worked by hand, against Kaplan and Meier, against clustered shares, and under changes of the data."""

from __future__ import annotations

import json
from datetime import timedelta
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import expit, logit
from scipy.stats import t

import churnsurv as ch
from churnsurv.data import ActivityLog, Feature
from churnsurv.data.gap_counts import gap_counts
from churnsurv.errors import InputError
from churnsurv.simulation import SimulatedApp, simulate_app
from churnsurv.tables import schema
from churnsurv.warning import IdleRisk, idle_risk
from churnsurv.warning.idle_tables import crossing
from tests.data.lives import IDLE, LAST, date_of, lives
from tests.data.small import log_of
from tests.slow.idle_risk import counts_of


@pytest.fixture(scope="module")
def app() -> SimulatedApp:
    return simulate_app(700, seed=4, campaigns=())


@pytest.fixture(scope="module")
def gaps(app: SimulatedApp) -> pd.DataFrame:
    """All gaps with a day in the log."""
    table = app.log.gaps(features=["balance", "stage"]).table
    return table[table["duration"] > 0]


def mature(app: SimulatedApp, gaps: pd.DataFrame) -> pd.DataFrame:
    limit = pd.Timestamp(app.observed_until - timedelta(days=30))
    table = gaps[gaps["start_date"] <= limit]
    return table.assign(churned=(table["duration"] > 30) | ~table["returned"])


def of(risk: IdleRisk, group: str = "all", *, registration: bool = False) -> pd.DataFrame:
    table = risk.table
    return table[(table["group"] == group) & (table["registration_gap"] == registration)].set_index("idle_days")


def test_eight_gaps_by_hand() -> None:
    """Four idle days. Later gaps last 1, 2, 2, 4 days, and three for longer: 5, 7 and one without end."""
    users = {"a": "2024-01-01", "b": "2024-01-01"}
    events = [("a", f"2024-01-{day:02}") for day in (1, 2, 4, 6, 10, 15, 22)]
    log = log_of(users, [*events, ("b", "2024-01-01")], idle_days=4, observed_until="2024-02-10")
    risk = idle_risk(log, min_gaps=1, probabilities=(0.5, 0.6))
    # a: 1 (at registration), 2, 2, 4, 5, 7, no end. b: no end, at registration.
    later, first = of(risk), of(risk, registration=True)
    assert later["n_gaps"].tolist() == [6, 6, 4, 4]
    assert later["n_churned"].unique().tolist() == [3]
    exact = [Fraction(1, 2), Fraction(1, 2), Fraction(3, 4), Fraction(3, 4)]
    np.testing.assert_allclose(later["churn"], [float(each) for each in exact], rtol=1e-12)
    np.testing.assert_allclose(later["return_hazard"], [0, 2 / 6, 0, 1 / 4], rtol=1e-12)
    assert first["n_gaps"].tolist() == [2, 1, 1, 1]
    np.testing.assert_allclose(first["churn"], [0.5, 1, 1, 1], rtol=1e-12)
    # Ratio 1/2 on day 0: residuals of the users 0.5 and -0.5; 2/1 (0.25 + 0.25) / 2^2.
    assert first["std_error"].iloc[0] == pytest.approx(0.5)
    assert later["std_error"].isna().all()  # one user
    # 6/10 of the way from 1/2 on day 1 to 3/4 on day 2 would be .65; .6 is .4 of it.
    crossings = risk.crossings.set_index(["registration_gap", "probability"])
    assert crossings.loc[(False, 0.6), "idle_day"] == pytest.approx(1.4)
    assert crossings.loc[(False, 0.5), "idle_day"] == 0
    assert crossings[["lower", "upper"]].isna().all().all()
    # Those who came back in time took 2, 2 and 4 days.
    assert risk.intervals["days"].tolist() == [2, 2, 2, 4, 4]
    assert (risk.n_gaps, risk.n_churned, risk.n_registration_gaps, risk.n_blocks) == (8, 4, 2, 2)


@pytest.mark.parametrize("starts", ["mature", "all"])
def test_churn_is_kaplan_and_meiers_of_the_gaps(app: SimulatedApp, gaps: pd.DataFrame, starts: Any) -> None:
    risk = idle_risk(app.log, starts=starts)
    rows = gaps if starts == "all" else mature(app, gaps)
    for registration in (False, True):
        curves = ch.kaplan_meier(rows[rows["registration_gap"] == registration], event="returned")
        survival = curves.at(range(31))["survival"].to_numpy()
        mine = of(risk, registration=registration)
        np.testing.assert_allclose(mine["churn"], survival[30] / survival[:30], rtol=1e-12)
        np.testing.assert_allclose(mine["return_hazard"], 1 - survival[1:] / survival[:-1], atol=1e-12)
    assert risk.n_gaps == len(rows)


def test_standard_errors_are_those_of_shares_clustered_by_user(app: SimulatedApp, gaps: pd.DataFrame) -> None:
    """With fewer users than blocks: residuals summed by user, and least squares of statsmodels beside it."""
    risk, rows = idle_risk(app.log), mature(app, gaps)
    rows = rows[~rows["registration_gap"]]
    mine = of(risk)
    for day in (0, 7, 15, 29):
        silent = rows[(rows["duration"] > day)]
        y, user = silent["churned"].to_numpy(float), silent["user_id"].to_numpy()
        share, n = y.mean(), len(set(user))
        residuals = pd.Series(y - share).groupby(user).sum()
        error = np.sqrt(n / (n - 1) * (residuals**2).sum()) / len(y)
        assert mine.loc[day, "n_gaps"] == len(y)
        np.testing.assert_allclose(mine.loc[day, ["churn", "std_error"]].astype(float), [share, error], rtol=1e-9)
        fit = sm.OLS(y, np.ones(len(y))).fit(cov_type="cluster", cov_kwds={"groups": user, "use_correction": False})
        np.testing.assert_allclose(error, fit.bse[0] * np.sqrt(n / (n - 1)), rtol=1e-9)
        half = t.ppf(0.975, n - 1) * error / (share * (1 - share))
        expected = expit(logit(share) + np.array([-half, half]))
        np.testing.assert_allclose(mine.loc[day, ["lower", "upper"]].astype(float), expected, rtol=1e-9)


def test_groups_are_those_of_the_gaps(app: SimulatedApp, gaps: pd.DataFrame) -> None:
    risk = idle_risk(app.log, {"balance": (100, 10_000), "stage": None}, min_gaps=50, probabilities=[0.5])
    rows = mature(app, gaps)
    band = pd.cut(rows["balance"].astype(float), [-np.inf, 100, 10_000, np.inf], right=False)
    labels = dict(zip(band.cat.categories, ("below 100", "100 to below 10,000", "10,000 and above"), strict=True))
    names = band.map(labels).astype(object).fillna("(missing)") + " | " + rows["stage"].astype(str)
    large = names.value_counts().loc[lambda n: n >= 50].index
    names = names.where(names.isin(large), "other")
    shares = rows.groupby([names, "registration_gap"])["churned"].agg(["mean", "size"])
    table = risk.table[risk.table["idle_days"] == 0].set_index(["group", "registration_gap"])
    np.testing.assert_allclose(table["churn"], shares["mean"].reindex(table.index), rtol=1e-12)
    assert (table["n_gaps"] == shares["size"].reindex(table.index)).all()
    assert len(table) == len(shares)
    assert risk.by == ("balance", "stage")
    assert {"balance", "stage"} <= set(risk.table) & set(risk.crossings) & set(risk.intervals)
    known = table[table.index.get_level_values(0) != "other"].reset_index()
    assert (known["balance"].astype(str) + " | " + known["stage"].astype(str) == known["group"]).all()
    rising = [label for label in dict.fromkeys(risk.table["balance"]) if label != "other"]
    assert rising == ["below 100", "100 to below 10,000", "10,000 and above", "(missing)"]


def test_small_groups_are_pooled_and_that_is_said(app: SimulatedApp) -> None:
    sizes = idle_risk(app.log, "channel").table.query("idle_days == 0").groupby("group")["n_gaps"].sum()
    least = int(sizes.sort_values().iloc[1]) + 1
    risk = idle_risk(app.log, ["channel"], min_gaps=least)
    assert risk.groups[-1] == "other"
    assert len(risk.groups) == len(sizes) - 1
    assert any(note.startswith(f"Groups of fewer than {least:,} gaps are pooled as 'other'") for note in risk.notes)
    assert of(risk, "other").loc[0, "n_gaps"] + of(risk, "other", registration=True).loc[0, "n_gaps"] == (
        sizes.sort_values().iloc[:2].sum()
    )
    assert (risk.table["channel"] == risk.table["group"]).all()


def test_features_of_ones_own_make_groups(app: SimulatedApp) -> None:
    often = Feature("logins_of_the_month", agg="days", kind="login", last=30)
    risk = idle_risk(app.log, often, min_gaps=200)
    assert risk.by == ("logins_of_the_month",)
    assert len(risk.groups) >= 3
    assert of(risk, "1").loc[0, "churn"] > of(risk, "4").loc[0, "churn"]


def test_crossings_lie_on_the_curve_and_their_limits_on_its_limits(app: SimulatedApp) -> None:
    risk = idle_risk(app.log, probabilities=np.arange(0.05, 1, 0.05))
    for registration in (False, True):
        curve = of(risk, registration=registration)
        mine = risk.crossings[risk.crossings["registration_gap"] == registration]
        for row in mine.itertuples():
            p = row.probability
            if not curve["churn"].iloc[0] <= p <= curve["churn"].iloc[-1]:
                assert np.isnan([row.idle_day, row.lower, row.upper]).all()
                continue
            at = [np.interp(row.idle_day, curve.index, curve[each]) for each in ("churn", "lower", "upper")]
            assert at[0] == pytest.approx(p)
            assert at[1] < p < at[2]
            days = np.linspace(0, 29, 2901)
            held = (np.interp(days, curve.index, curve["lower"]) <= p) & (
                np.interp(days, curve.index, curve["upper"]) >= p
            )
            assert row.lower == pytest.approx(days[held].min(), abs=0.011)
            if held[-1]:
                assert np.isnan(row.upper)
            else:
                assert row.upper == pytest.approx(days[held].max(), abs=0.011)


def test_crossings_where_limits_are_missing() -> None:
    churn, nan = np.array([0.5, 0.8, 1.0, 1.0]), np.nan
    lower, upper = np.array([0.4, 0.7, nan, nan]), np.array([0.6, 0.9, nan, nan])
    # Certain churn has no limits; where the risk of day 1 excludes a half, so does that of later days.
    assert crossing(churn, lower, upper, 0.5) == pytest.approx((0.0, 0.0, 1 / 3))
    assert crossing(churn, lower, upper, 0.75)[2:] == pytest.approx((np.nan,), nan_ok=True)
    assert np.isnan(crossing(churn, lower, upper, 0.3)).all()
    assert crossing(churn, np.full(4, nan), np.full(4, nan), 0.8) == pytest.approx((1.0, nan, nan), nan_ok=True)
    assert np.isnan(crossing(np.array([0.1, 0.2]), np.array([0.0, 0.1]), np.array([0.2, 0.3]), 0.25)[0])


def test_login_intervals_are_quantiles_of_the_gaps_that_ended(app: SimulatedApp, gaps: pd.DataFrame) -> None:
    rows = mature(app, gaps)
    days = rows.loc[~rows["churned"] & ~rows["registration_gap"], "duration"]
    intervals = idle_risk(app.log).intervals
    expected = np.quantile(days, intervals["probability"], method="inverted_cdf")
    assert intervals["days"].tolist() == expected.tolist()
    assert (intervals["lower"] <= intervals["days"]).all()
    assert (intervals["days"] <= intervals["upper"]).all()
    assert (intervals["upper"] - intervals["lower"]).max() <= 3
    # The limits hold the days at which the limits of the share pass; those of all gaps hardly differ.
    assert idle_risk(app.log, starts="all").intervals["days"].tolist() == expected.tolist()


def test_drift_is_the_risk_of_each_quarter_and_its_slope(app: SimulatedApp, gaps: pd.DataFrame) -> None:
    risk, rows = idle_risk(app.log), mature(app, gaps)
    quarter = rows["start_date"].dt.year.astype(str) + "-Q" + rows["start_date"].dt.quarter.astype(str)
    drift = risk.drift
    for day in (0, 15):
        silent = rows["duration"] > day
        shares = rows[silent].groupby([rows["registration_gap"], quarter])["churned"].mean()
        mine = drift[drift["idle_days"] == day].set_index(["registration_gap", "period"])["churn"]
        np.testing.assert_allclose(mine, shares.reindex(mine.index), rtol=1e-12)
        assert len(mine) == len(shares)
    spans = drift.drop_duplicates("period")
    assert spans["first"].iloc[0] == pd.Timestamp(app.observed_from)
    assert spans["last"].iloc[-1] == pd.Timestamp(app.observed_until - timedelta(days=30))
    assert (spans["first"].iloc[1:].to_numpy() - spans["last"].iloc[:-1].to_numpy() == np.timedelta64(1, "D")).all()
    # Least squares over the gaps, with each gap in the middle of its quarter.
    middle = dict(zip(spans["period"], spans["first"] + (spans["last"] - spans["first"]) / 2, strict=True))
    later = ~rows["registration_gap"]
    years = (quarter[later].map(middle) - pd.Timestamp("2022-01-01")) / pd.Timedelta(days=365.25)
    y, x = rows.loc[later, "churned"].to_numpy(float), sm.add_constant(years.to_numpy())
    fit = sm.OLS(y, x).fit(cov_type="cluster", cov_kwds={"groups": rows.loc[later, "user_id"].to_numpy()})
    assert risk.drift_per_year == pytest.approx(fit.params[1], rel=1e-9)
    assert risk.drift_upper - risk.drift_lower == pytest.approx(2 * 1.963 * fit.bse[1], rel=0.02)
    assert any("points a year" in note for note in risk.notes)
    assert idle_risk(app.log, period=None).drift.columns.tolist() == list(schema("idle_risk_drift").names)


def test_of_gaps_that_are_too_young_nothing_is_said(app: SimulatedApp) -> None:
    """With all gaps taken, a cohort of the last weeks has no day 30 yet, nor has the last month."""
    risk = idle_risk(app.log, "cohort", starts="all", period="month", min_gaps=1)
    young = risk.table[risk.table["cohort"] == f"{app.observed_until:%Y-%m}"]
    assert len(young) >= 30
    # A curve whose last gap ends by a return is at 0 and stays there, as ever.
    assert (young["churn"].isna() | (young["churn"] == 0)).all()
    assert young["churn"].isna().any()
    assert young[["lower", "upper"]].isna().all().all()
    assert young["return_hazard"].notna().any()
    assert risk.crossings.loc[risk.crossings["cohort"] == "2025-06", "idle_day"].isna().all()
    last = risk.drift[risk.drift["period"] == "2025-06"]
    assert (last["n_gaps"] > 0).all()
    assert last.loc[~last["registration_gap"], "churn"].isna().all()
    assert np.isfinite([risk.drift_per_year, risk.drift_lower, risk.drift_upper]).all()
    risk.plot()


def test_who_is_called_what_does_not_matter(app: SimulatedApp) -> None:
    other = {name: getattr(app, name).assign(user_id=lambda t: 5_000 - t["user_id"]) for name in ("events", "users")}
    window = {"observed_from": app.observed_from, "observed_until": app.observed_until}
    one, same = (idle_risk(ActivityLog(app.events, app.users, **window)), idle_risk(ActivityLog(**other, **window)))
    pd.testing.assert_frame_equal(one.table, same.table, rtol=1e-9)
    pd.testing.assert_frame_equal(one.drift, same.drift, rtol=1e-9)


def test_twice_the_users_halve_the_variance() -> None:
    app = simulate_app(300, seed=2, campaigns=())
    window = {"observed_from": app.observed_from, "observed_until": app.observed_until}
    twice = [pd.concat([table, table.assign(user_id=table["user_id"] + 1_000)]) for table in (app.events, app.users)]
    one, two = idle_risk(ActivityLog(app.events, app.users, **window)), idle_risk(ActivityLog(*twice, **window))
    np.testing.assert_allclose(two.table["churn"], one.table["churn"], rtol=1e-12)
    np.testing.assert_allclose(two.table["std_error"], one.table["std_error"] / np.sqrt(2), rtol=0.01)
    assert (two.table["n_gaps"] == 2 * one.table["n_gaps"]).all()


def test_what_happens_later_changes_nothing() -> None:
    some, rng = lives(2, n_users=80), np.random.default_rng(0)
    day = LAST - 8
    until = date_of(day).date()
    known, other = (log.as_of(until) for log in (some.log(), some.otherwise(day, rng).log()))
    assert idle_risk(known, min_gaps=1).to_json() == idle_risk(other, min_gaps=1).to_json()
    assert str(idle_risk(known).last_start) == str(date_of(day - IDLE).date())


def test_layouts_and_words(app: SimulatedApp) -> None:
    risk = idle_risk(app.log, "channel")
    told = {"idle_risk": risk.table, "idle_risk_crossings": risk.crossings, "login_intervals": risk.intervals}
    for name, table in {**told, "idle_risk_drift": risk.drift}.items():
        names = list(schema(name).names)
        assert table.columns.tolist() == ([*names, "channel"] if schema(name).open else names)
    plain = json.loads(risk.to_json())
    assert plain["facts"]["rule"]["idle_days"] == 30
    assert len(plain["facts"]["drift"]["period"]) == len(risk.drift)
    first = idle_risk(app.log).crossings.iloc[0]
    day = f"{first['idle_day']:.1f} ({first['lower']:.1f} to {first['upper']:.1f})"
    assert f"% of those that begin at registration; the risk of the former reaches 25 % on idle day {day}" in repr(risk)
    assert any("begins above 25 %" in note and "distribution at registration" in note for note in risk.notes)
    mine = risk.table
    mine.loc[:, "churn"] = 0.0
    assert risk.table["churn"].min() > 0
    assert len(risk.plot().lines) >= len(risk.groups)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"by": "chanel"}, r"no variable 'chanel'. Did you mean 'channel'"),
        ({"by": {"balance": (5, 1)}}, r"each larger than the last"),
        ({"by": 7}, r"by names columns or features"),
        ({"probabilities": (0.5, 1.0)}, r"probabilities lie between 0 and 1"),
        ({"probabilities": ()}, r"probabilities lie between 0 and 1"),
        ({"min_gaps": 0}, r"min_gaps is a whole number"),
        ({"starts": "late"}, r"'mature' or 'all'"),
        ({"period": "week"}, r"'quarter', 'month' or None"),
        ({"level": 95}, r"between 0 and 1"),
    ],
)
def test_bad_arguments(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        idle_risk(lives(1).log(), **asked)


def test_a_log_without_churn_and_one_that_is_too_short() -> None:
    days = [str(day.date()) for day in pd.date_range("2024-01-01", "2024-03-31", freq="3D")]
    log = log_of({"a": "2024-01-01"}, [("a", day) for day in days])
    with pytest.raises(InputError, match=r"Nobody churned: none of the \d+ gaps begun 2024-01-01 to 2024-03-01"):
        idle_risk(log)
    with pytest.raises(InputError, match=r"covers 59 days \(2024-01-01 to 2024-02-28\).*twice the 30 idle days"):
        idle_risk(log.as_of("2024-02-28"))


def test_the_experiment_on_coverage_counts_as_the_log_does(app: SimulatedApp) -> None:
    truth = app.truth.gaps.assign(user=lambda t: t["user_id"] - 1)
    window = {"until": pd.Timestamp(app.observed_until), "first": pd.Timestamp(app.observed_from)}
    theirs, ours = counts_of(truth, **window, blocks=None), gap_counts(app.log, period="quarter")
    np.testing.assert_array_equal(theirs.tensor(registration_gap=True), ours.tensor(registration_gap=True))
    np.testing.assert_array_equal(theirs.tensor(registration_gap=False), ours.tensor(registration_gap=False))
    assert (theirs.first_start, theirs.last_start) == (ours.first_start, ours.last_start)
