"""Restricted means and their differences: by hand, against lifelines' error, under clusters, and what is refused."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import churnsurv as ch
from churnsurv.errors import ChurnsurvWarning, FollowUpError, InputError
from churnsurv.survival.rmst import rmst, rmst_difference
from churnsurv.tables import schema

Z = NormalDist().inv_cdf(0.975)

# web: two of four churn, on days 2 and 4; app: three of five, on days 1, 3 and 3; none: nobody before day 6
DATA = pd.DataFrame(
    {
        "duration": [2, 3, 4, 8, 1, 3, 3, 7, 9, 7, 8],
        "churned": [True, False, True, False, True, True, True, False, False, True, False],
        "channel": ["web"] * 4 + ["app"] * 5 + ["none"] * 2,
        "user_id": [1, 2, 3, 4, 1, 2, 3, 4, 5, 6, 6],
    }
)
# up to day 6: web 2 + 2 (3/4) + 2 (3/8); app 1 + 2 (4/5) + 3 (2/5)
WEB, APP = Fraction(2) + Fraction(3, 2) + Fraction(3, 4), Fraction(1) + Fraction(8, 5) + Fraction(6, 5)
WEB_VARIANCE = Fraction(9, 4) ** 2 * Fraction(1, 12) + Fraction(3, 4) ** 2 * Fraction(1, 2)
APP_VARIANCE = Fraction(14, 5) ** 2 * Fraction(1, 20) + Fraction(6, 5) ** 2 * Fraction(2, 8)


def test_by_hand() -> None:
    found = rmst(DATA, horizon=6, by="channel")
    table = found.table
    assert list(table) == [*schema("rmst").names, "channel"]
    assert table["group"].tolist() == ["app", "none", "web"]
    assert table["estimate"].tolist() == pytest.approx([float(APP), 6.0, float(WEB)], rel=1e-14)
    assert (table["std_error"] ** 2).tolist() == pytest.approx([float(APP_VARIANCE), 0, float(WEB_VARIANCE)], rel=1e-13)
    assert table["n"].tolist() == [5, 2, 4]
    assert table["n_events"].tolist() == [3, 0, 2]
    assert table["lower"].iloc[0] == pytest.approx(float(APP) - Z * math.sqrt(APP_VARIANCE), rel=1e-13)
    assert table["upper"].tolist() == pytest.approx(
        [float(APP) + Z * math.sqrt(APP_VARIANCE), 6, float(WEB) + Z * math.sqrt(WEB_VARIANCE)]
    )
    wide = rmst(DATA, horizon=6, by="channel", level=0.999).table
    assert (wide["lower"].iloc[2], wide["upper"].iloc[2]) == (
        pytest.approx(float(WEB) - 3.290527 * WEB_VARIANCE**0.5),
        6,
    )
    assert repr(found).startswith("<RMST: mean days until churn within 6, 95% intervals: app 3.8 (")


def test_differences_by_hand() -> None:
    found = rmst_difference(DATA, by="channel", horizon=6, reference="web", level=0.9)
    table = found.table
    assert list(table) == list(schema("rmst_difference").names)
    assert found.reference == "web"
    assert table["group"].tolist() == ["app", "none"]
    app, z = table.iloc[0], NormalDist().inv_cdf(0.95)
    error = math.sqrt(APP_VARIANCE + WEB_VARIANCE)
    assert app["estimate"] == pytest.approx(float(APP - WEB), rel=1e-13)
    assert app["std_error"] == pytest.approx(error, rel=1e-13)
    assert app["p_value"] == pytest.approx(2 * NormalDist().cdf(-abs(app["estimate"]) / error), rel=1e-10)
    assert app["upper"] == pytest.approx(float(APP - WEB) + z * error, rel=1e-12)
    log_error = math.sqrt(APP_VARIANCE / APP**2 + WEB_VARIANCE / WEB**2)
    assert app["ratio"] == pytest.approx(float(APP / WEB), rel=1e-13)
    assert app["ratio_lower"] == pytest.approx(float(APP / WEB) * math.exp(-z * log_error), rel=1e-12)
    np.testing.assert_allclose(
        found.covariance,
        [[float(APP_VARIANCE + WEB_VARIANCE), float(WEB_VARIANCE)], [float(WEB_VARIANCE)] * 2],
        rtol=1e-13,
    )


def test_p_values_are_adjusted_and_limits_are_not() -> None:
    found = rmst_difference(DATA, by="channel", horizon=6).table
    p = sorted(found["p_value"])
    assert sorted(found["p_adjusted"]) == pytest.approx([min(2 * p[0], 1), max(p[1], min(2 * p[0], 1))])
    raw = rmst_difference(DATA, by="channel", horizon=6, adjust="none").table
    assert raw["p_adjusted"].equals(raw["p_value"])
    assert raw[["lower", "upper"]].equals(found[["lower", "upper"]])
    assert rmst_difference(DATA, by="channel", horizon=6, adjust="fdr_bh")._facts()["limits"] == "each alone"


def test_the_reference_is_named_by_label_or_by_values() -> None:
    data = DATA.assign(plan=["a", "b"] * 5 + ["a"])
    by = ["channel", "plan"]
    for reference in ("web | a", {"plan": "a", "channel": "web"}):
        found = rmst_difference(data, by=by, horizon=2, reference=reference)
        assert found.reference == "web | a"
    with pytest.raises(InputError, match=r"no group is called 'wep'. Did you mean 'web'"):
        rmst_difference(DATA, by="channel", horizon=2, reference="wep")
    with pytest.raises(InputError, match=r"no group is called 'x | a'"):
        rmst_difference(data, by=by, horizon=2, reference={"plan": "a", "channel": "x"})
    with pytest.raises(InputError, match="the groups are made by 'channel', 'plan'"):
        rmst_difference(data, by=by, horizon=2, reference={"plan": "a"})


def test_where_nothing_has_happened_there_is_nothing_to_test() -> None:
    quiet = DATA[DATA["channel"] != "app"]
    found = rmst_difference(quiet, by="channel", horizon=2).table
    assert found["estimate"].tolist() == [0]
    assert found[["statistic", "p_value", "p_adjusted"]].isna().all(axis=None)
    assert repr(rmst_difference(quiet, by="channel", horizon=2)).endswith("no p-value>")
    three = rmst_difference(DATA, by="channel", horizon=2, reference="web").table  # app churns on day 1
    assert three["p_adjusted"].isna().tolist() == [False, True]
    assert three["p_adjusted"].iloc[0] == three["p_value"].iloc[0]  # the only comparison that there is


def test_horizons_beyond_follow_up() -> None:
    with pytest.raises(FollowUpError, match=r"last days: 'none' day 8, 'web' day 8. Ask for days up to 8"):
        rmst(DATA, horizon=8.5, by="channel")
    with pytest.raises(FollowUpError, match="last days: 'app' day 9, 'none' day 8"):
        rmst_difference(DATA, by="channel", horizon=10)
    gone = DATA.assign(churned=True)  # nobody can be left after the last day
    assert rmst(gone, horizon=1000).table["estimate"].item() == pytest.approx(gone["duration"].mean())


@pytest.mark.parametrize("horizon", [0, -1, math.nan, math.inf, "90", True, None])
def test_horizons_that_are_none(horizon: object) -> None:
    for ask in (rmst, rmst_difference):
        with pytest.raises(InputError, match="horizon must be a number of days > 0"):
            ask(DATA, by="channel", horizon=horizon)


def test_arguments_that_are_refused() -> None:
    with pytest.raises(InputError, match="one group only"):
        rmst_difference(DATA.assign(channel="x"), by="channel", horizon=2)
    with pytest.raises(InputError, match="needs `by`"):
        rmst_difference(DATA, by=[], horizon=2)
    with pytest.raises(InputError, match="Did you mean 'holm'"):
        rmst_difference(DATA, by="channel", horizon=2, adjust="Holm")
    with pytest.raises(InputError, match="also the name of a column of the result"):
        rmst(DATA.assign(estimate=1), by="estimate", horizon=2)


def test_a_group_with_nobody_at_risk_is_named_and_left_out() -> None:
    data = DATA.assign(entry=np.where(DATA["channel"] == "none", DATA["duration"], 0), churned=False)
    with pytest.warns(ChurnsurvWarning, match="no curve for 'none'"):
        assert rmst(data, by="channel", horizon=2, entry="entry").groups == ("app", "web")


def test_all_churn_on_day_zero() -> None:
    data = pd.DataFrame({"duration": [0, 0, 3, 4], "churned": [True, True, True, False], "g": ["a", "a", "b", "b"]})
    found = rmst_difference(data, by="g", horizon=3)
    assert found.table["estimate"].tolist() == [3.0]
    assert found.table[["ratio", "ratio_lower", "ratio_upper"]].isna().all(axis=None)


def test_groups_that_share_clusters_depend_on_each_other() -> None:
    # the same rows in both groups, and each pair one cluster: there is no difference, and no doubt about it
    both = pd.concat([DATA.assign(g="a", pair=DATA.index), DATA.assign(g="b", pair=DATA.index)])
    paired = rmst_difference(both, by="g", horizon=6, cluster="pair").table
    assert paired["std_error"].item() == pytest.approx(0, abs=1e-12)
    apart = rmst_difference(both, by="g", horizon=6, cluster=None).table
    assert apart["std_error"].item() == pytest.approx(math.sqrt(2) * rmst(DATA, horizon=6).table["std_error"].item())


def test_groups_of_one_size_with_sampling_weights_do_not() -> None:
    data = DATA[DATA["channel"] != "none"].head(8).assign(w=np.linspace(0.5, 2, 8))
    options = {"weights": "w", "weights_kind": "sampling", "horizon": 5}
    errors = rmst(data, by="channel", **options).table["std_error"]
    found = rmst_difference(data, by="channel", **options).table["std_error"].item()
    assert found == pytest.approx(math.sqrt((errors**2).sum()), rel=1e-12)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(1, 9), st.booleans(), st.integers(1, 3)), min_size=1, max_size=20), st.booleans())
def test_a_frequency_is_a_row_repeated(rows: list[tuple], clustered: bool) -> None:
    data = pd.DataFrame(rows, columns=["duration", "churned", "w"])
    data["user_id"] = np.arange(len(data)) // 2
    options = {"horizon": data["duration"].max(), "cluster": "user_id" if clustered else None}
    weighted = rmst(data, weights="w", weights_kind="frequency", **options).table
    repeated = rmst(data.loc[np.repeat(data.index, data["w"])], **options).table
    pd.testing.assert_frame_equal(weighted, repeated, rtol=1e-11)


@pytest.mark.filterwarnings("ignore:The maximum number of subdivisions")  # lifelines integrates steps by quadrature
@pytest.mark.slow
def test_the_error_is_that_of_repeated_samples_and_lifelines_is_not() -> None:
    """300 samples of 100 users: the standard error is the spread of the estimates; lifelines' is far off."""
    from lifelines import KaplanMeierFitter
    from lifelines.utils import restricted_mean_survival_time

    estimates, ours, theirs = [], [], []
    for seed in range(300):
        rng = np.random.default_rng([9, seed])
        life, end = np.ceil(rng.exponential(40, 100)), rng.integers(60, 150, 100)
        data = pd.DataFrame({"duration": np.minimum(life, end).astype(int), "churned": life <= end})
        row = rmst(data, horizon=60).table.iloc[0]
        estimates.append(row["estimate"])
        ours.append(row["std_error"])
        if seed < 5:
            fitted = KaplanMeierFitter().fit(data["duration"], data["churned"])
            mean, variance = restricted_mean_survival_time(fitted, t=60, return_variance=True)
            assert mean == pytest.approx(row["estimate"], rel=1e-9)
            theirs.append(variance / row["std_error"] ** 2)
    assert np.mean(ours) / np.std(estimates) == pytest.approx(1, abs=0.1)
    assert min(theirs) > 50


def test_spells_of_a_log_are_clustered_and_said_so() -> None:
    spells = ch.simulate_app(300, seed=2).log.churn_spells(spells="all")
    found = rmst_difference(spells, by="channel", horizon=90)
    assert found.cluster == "user_id"
    said = json.loads(found.to_json())
    assert said["schema"] == {"name": "rmst_difference", "version": 1}
    assert said["facts"]["data"]["spells"] == "all"
    assert set(said["facts"]["last_day"]) == {*found.groups, found.reference}
    with pytest.raises(ValueError, match="read-only"):
        found.covariance[0, 0] = 1


def test_plots_are_drawn_on_the_axes_given() -> None:
    from matplotlib.figure import Figure

    for result in (rmst(DATA, by="channel", horizon=6), rmst_difference(DATA, by="channel", horizon=6)):
        ax = Figure().add_subplot()
        assert result.plot(ax) is ax
