"""Bands, hazards, conditional survival and weights of curves: by hand, by simulation, and what is refused."""

from __future__ import annotations

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
from churnsurv.numerics.bands import equal_precision_critical, hall_wellner_critical
from churnsurv.tables import schema

Z = NormalDist().inv_cdf(0.975)

# ten rows: day 3 two of 10 churn, day 5 one of 7 (one was censored on day 4), day 8 two of 5; the last ends on day 9
TEN = pd.DataFrame(
    {
        "duration": [3, 3, 4, 5, 6, 8, 8, 9, 9, 9],
        "churned": [True, True, False, True, False, True, True, False, False, False],
        "user_id": [1, 2, 1, 3, 4, 5, 2, 3, 4, 5],
    }
)
SIGMA = {
    3: Fraction(2, 80),
    5: Fraction(2, 80) + Fraction(1, 42),
    8: Fraction(2, 80) + Fraction(1, 42) + Fraction(2, 15),
}
S = {3: Fraction(4, 5), 5: Fraction(4, 5) * Fraction(6, 7), 8: Fraction(4, 5) * Fraction(6, 7) * Fraction(3, 5)}


# ------------------------------------------------------------------------------------------------------------- bands


@pytest.mark.parametrize("kind", ["equal-precision", "hall-wellner"])
def test_plain_bands_by_hand(kind: str) -> None:
    found = ch.kaplan_meier(TEN).bands(kind, scale="plain")
    assert list(found) == list(schema("bands").names)
    assert found["time"].tolist() == [3, 4, 5, 6, 8]
    passed = {day: float(10 * v / (1 + 10 * v)) for day, v in SIGMA.items()}
    for day in (3, 5, 8):
        row = found[found["time"] == day].iloc[0]
        if kind == "equal-precision":
            half = equal_precision_critical(passed[3], passed[8], 0.95) * math.sqrt(SIGMA[day])
        else:
            half = hall_wellner_critical(passed[3], passed[8], 0.95) * (1 + 10 * float(SIGMA[day])) / math.sqrt(10)
        assert row["survival"] == pytest.approx(float(S[day]), rel=1e-14)
        assert row["lower"] == pytest.approx(max(float(S[day]) * (1 - half), 0), rel=1e-9, abs=1e-12)
        assert row["upper"] == pytest.approx(min(float(S[day]) * (1 + half), 1), rel=1e-9)


@pytest.mark.parametrize("scale", ["log-log", "plain", "arcsine"])
def test_equal_precision_is_the_interval_of_each_day_widened_by_one_factor(scale: str) -> None:
    curves = ch.kaplan_meier(TEN, ci=scale)
    band = curves.bands(scale=scale)
    c = equal_precision_critical(
        float(10 * SIGMA[3] / (1 + 10 * SIGMA[3])), float(10 * SIGMA[8] / (1 + 10 * SIGMA[8])), 0.95
    )
    level = 2 * NormalDist().cdf(c) - 1
    wide = ch.kaplan_meier(TEN, ci=scale, level=level).at(band["time"].to_numpy())
    np.testing.assert_allclose(band[["lower", "upper"]], wide[["lower", "upper"]], rtol=1e-8)
    assert (band["lower"] <= band["survival"]).all()
    assert (band["upper"] >= band["survival"]).all()


def test_a_narrower_stretch_has_narrower_bands_and_begins_on_its_first_day() -> None:
    curves = ch.kaplan_meier(TEN)
    part, whole = curves.bands(between=(4.5, 7)), curves.bands()
    assert part["time"].tolist() == [4.5, 5, 6]
    assert part["survival"].tolist() == pytest.approx([float(S[3]), float(S[5]), float(S[5])])
    both = part.merge(whole, on="time")
    assert (both["lower_x"] > both["lower_y"]).all()
    assert (both["upper_x"] < both["upper_y"]).all()


def test_late_entry_has_equal_precision_only() -> None:
    data = TEN.assign(entry=[0, 0, 0, 0, 0, 0, 4, 0, 5, 0])
    curves = ch.kaplan_meier(data, entry="entry")
    assert len(curves.bands()) > 0
    with pytest.raises(InputError, match=r"some enter late. Ask for bands\('equal-precision'\)"):
        curves.bands("hall-wellner")
    early = ch.kaplan_meier(data.assign(entry=[0, 1, 2, 0, 1, 2, 2, 0, 1, 2]), entry="entry")
    pd.testing.assert_frame_equal(early.bands("hall-wellner"), ch.kaplan_meier(TEN).bands("hall-wellner"))


def test_bands_end_where_the_curve_reaches_zero() -> None:
    data = pd.DataFrame({"duration": [1, 2, 3, 4], "churned": True})
    assert ch.kaplan_meier(data).bands()["time"].tolist() == [1, 2, 3]
    assert ch.kaplan_meier(data).bands(between=(2, 400))["time"].tolist() == [2, 3]
    spike = pd.DataFrame({"duration": [30] * 5, "churned": True, "g": "all at once"})
    flat = pd.DataFrame({"duration": [5, 9], "churned": False, "g": "nobody"})
    with pytest.warns(
        ChurnsurvWarning, match="no band for 'all at once', 'nobody': a band begins at a churn that leaves"
    ):
        found = ch.kaplan_meier(pd.concat([data.assign(g="some"), spike, flat]), by="g").bands()
    assert found["group"].unique().tolist() == ["some"]
    with pytest.warns(ChurnsurvWarning, match="there is none up to day 0"):
        assert ch.kaplan_meier(data).bands(between=(0, 3)).empty


def test_frequencies_count_users_in_bands() -> None:
    weighted = ch.kaplan_meier(TEN.assign(w=3), weights="w", weights_kind="frequency")
    repeated = ch.kaplan_meier(TEN.loc[np.repeat(TEN.index, 3)])
    for kind in ("equal-precision", "hall-wellner"):
        pd.testing.assert_frame_equal(weighted.bands(kind), repeated.bands(kind), rtol=1e-13)


def test_bands_that_are_refused() -> None:
    curves = ch.kaplan_meier(TEN)
    with pytest.raises(InputError, match="rows of one cluster depend on each other"):
        ch.kaplan_meier(TEN, cluster="user_id").bands()
    with pytest.raises(InputError, match="rows have sampling weights"):
        ch.kaplan_meier(TEN.assign(w=0.5), weights="w", weights_kind="sampling").bands()
    with pytest.raises(InputError, match="Did you mean 'hall-wellner'"):
        curves.bands("hall_wellner")
    with pytest.raises(InputError, match="scale must be"):
        curves.bands(scale="log")
    with pytest.raises(InputError, match=r"level of 0\.5 or more"):
        curves.bands(level=0.4)
    for between in ((5, 3), (1, 2, 3), "all", (-1, 4)):
        with pytest.raises(InputError, match="between"):
            curves.bands(between=between)  # type: ignore[arg-type]
    with pytest.raises(FollowUpError, match="nobody was followed to day 20"):
        curves.bands(between=(3, 20))


@pytest.mark.slow
def test_bands_hold_the_whole_curve_as_often_as_they_say() -> None:
    """100 samples of 150 users: 95 % of bands, and many fewer of the intervals of each day, hold all of the curve."""
    held = {"equal-precision": 0, "hall-wellner": 0, "intervals": 0}
    for seed in range(100):
        rng = np.random.default_rng([77, seed])
        life, end = np.ceil(rng.exponential(60, 150)), rng.integers(20, 200, 150)
        data = pd.DataFrame({"duration": np.minimum(life, end).astype(int), "churned": life <= end})
        curves = ch.kaplan_meier(data)
        for kind in held:
            found = curves.at(np.arange(10, 101)) if kind == "intervals" else curves.bands(kind, between=(10, 100))
            truth = np.exp(-found["time"] / 60)
            # between two steps the curve stands still and the truth falls: its end is what counts
            before = np.exp(-np.append(found["time"].to_numpy()[1:] - 1, 100) / 60)
            held[kind] += bool(((found["lower"] <= before) & (truth <= found["upper"])).all())
    assert held["equal-precision"] / 100 == pytest.approx(0.95, abs=0.06)
    assert held["hall-wellner"] / 100 == pytest.approx(0.95, abs=0.06)
    assert held["intervals"] / 100 < 0.85


# ----------------------------------------------------------------------------------------------------------- hazards


def test_cumulative_hazard_by_hand() -> None:
    found = ch.kaplan_meier(TEN).cumulative_hazard
    assert list(found) == list(schema("cumulative_hazard").names)
    assert found["time"].tolist() == [0, 3, 4, 5, 6, 8, 9]
    hazard = Fraction(2, 10) + Fraction(1, 7) + Fraction(2, 5)
    variance = Fraction(2, 100) + Fraction(1, 49) + Fraction(2, 25)
    last = found.iloc[-1]
    assert last["cumulative_hazard"] == pytest.approx(float(hazard), rel=1e-14)
    assert last["std_error"] ** 2 == pytest.approx(float(variance), rel=1e-13)
    factor = math.exp(Z * math.sqrt(variance) / hazard)
    assert last["upper"] / last["cumulative_hazard"] == pytest.approx(factor, rel=1e-12)
    assert last["cumulative_hazard"] / last["lower"] == pytest.approx(factor, rel=1e-12)
    assert found.loc[0, ["lower", "upper"]].tolist() == [0, 0]


def test_limits_of_the_hazard_before_the_first_churn_are_null() -> None:
    data = pd.DataFrame({"duration": [2, 5, 6], "churned": [False, True, False]})
    found = ch.kaplan_meier(data).cumulative_hazard
    assert found["cumulative_hazard"].tolist() == [0, 0, 0.5, 0.5]
    assert found["lower"].isna().tolist() == [False, True, False, False]


def test_the_hazard_goes_on_where_survival_cannot() -> None:
    # all at risk churn on day 2; two enter later, and one of them churns
    data = pd.DataFrame({"entry": [0, 0, 5, 5], "duration": [1, 2, 8, 9], "churned": [True, True, True, False]})
    curves = ch.kaplan_meier(data, entry="entry")
    assert curves.cumulative_hazard["cumulative_hazard"].tolist()[-2:] == [2.0, 2.0]
    assert curves.conditional(4, [4])["survival"].tolist() == [0.5]


def test_smoothed_hazard_of_a_constant_one_and_its_bandwidth() -> None:
    rng = np.random.default_rng(3)
    life, end = np.ceil(rng.exponential(50, 40_000)), rng.integers(60, 121, 40_000)
    data = pd.DataFrame({"duration": np.minimum(life, end).astype(int), "churned": life <= end})
    curves = ch.kaplan_meier(data)
    found = curves.smoothed_hazard(times=[15, 40, 80])
    assert list(found) == list(schema("smoothed_hazard").names)
    truth = 1 - math.exp(-1 / 50)
    np.testing.assert_allclose(found["hazard"], truth, rtol=0.06)
    assert set(found["bandwidth"]) == {7.0}
    assert ((found["lower"] < truth) & (truth < found["upper"])).all()
    few = ch.kaplan_meier(data.head(500))
    assert few.smoothed_hazard(times=9)["bandwidth"].item() == max(120 / 8 / data["churned"].head(500).sum() ** 0.2, 7)
    assert curves.smoothed_hazard()["time"].tolist() == list(range(121))


def test_smoothed_hazard_that_is_refused() -> None:
    curves = ch.kaplan_meier(TEN.assign(entry=2), entry="entry")
    for day in (1, 10):
        with pytest.raises(FollowUpError, match=rf"followed from day 2 to day 9; there is no hazard on day {day}"):
            curves.smoothed_hazard(times=[5, day])
    for width in (0, -1, 4, True, "7"):
        with pytest.raises(InputError, match=r"at most half of follow-up, 3\.5 days in group 'all'"):
            curves.smoothed_hazard(bandwidth=width)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="followed on one day only"):
        ch.kaplan_meier(pd.DataFrame({"duration": [0, 0], "churned": [True, False]})).smoothed_hazard()


def test_smoothed_hazard_where_nobody_churns_is_zero_without_limits() -> None:
    found = ch.kaplan_meier(TEN.assign(churned=False)).smoothed_hazard()
    assert set(found["hazard"]) == {0.0}
    assert found[["lower", "upper"]].isna().all(axis=None)


# ------------------------------------------------------------------------------------------------------- conditional


def test_conditional_survival_by_hand() -> None:
    found = ch.kaplan_meier(TEN, ci="plain").conditional([0, 4], [0, 1, 4, 5], level=0.9)
    assert list(found) == list(schema("conditional_survival").names)
    assert found["alive_at"].tolist() == [0] * 4 + [4] * 4
    share = float(S[8] / S[3])
    assert found["survival"].tolist() == pytest.approx([1, 1, 0.8, float(S[5]), 1, 6 / 7, share, share], rel=1e-14)
    error = share * math.sqrt(Fraction(1, 42) + Fraction(2, 15))
    last = found.iloc[-1]
    assert last["std_error"] == pytest.approx(error, rel=1e-13)
    assert last["lower"] == pytest.approx(share - NormalDist().inv_cdf(0.95) * error, rel=1e-12)


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.booleans(), st.integers(0, 3)), min_size=2, max_size=25),
    st.integers(0, 8),
    st.booleans(),
)
def test_conditional_survival_is_the_curve_of_those_who_are_left(rows: list[tuple], day: int, clustered: bool) -> None:
    data = pd.DataFrame(rows, columns=["duration", "churned", "user_id"])
    options = {"cluster": "user_id" if clustered else None, "ci": "log"}
    left = data[data["duration"] > day]
    if left.empty:
        with pytest.raises(FollowUpError, match="followed to day"):
            ch.kaplan_meier(data, **options).conditional(day, 10)
        return
    days = np.arange(left["duration"].max() - day + 1)
    mine = ch.kaplan_meier(data, **options).conditional(day, days)
    theirs = ch.kaplan_meier(left.assign(entry=day), entry="entry", **options).at(days + day)
    columns = ["survival", "std_error", "lower", "upper"]
    np.testing.assert_allclose(mine[columns], theirs[columns], rtol=1e-12, atol=1e-15)


def test_conditional_survival_beyond_follow_up() -> None:
    curves = ch.kaplan_meier(TEN)
    with pytest.raises(FollowUpError, match=r"followed to day 10 \(alive_at 4 and 6 days more\); the last day is 9"):
        curves.conditional(4, [2, 6])
    gone = ch.kaplan_meier(TEN.assign(churned=True))
    assert gone.conditional(4, [100])["survival"].tolist() == [0]
    with pytest.raises(FollowUpError, match="followed to day 10"):
        gone.conditional(9, 1)  # nobody is there to ask about
    for bad in (-1, "x", [math.nan]):
        with pytest.raises(InputError, match="alive_at must be finite"):
            curves.conditional(bad, 1)
    with pytest.raises(InputError, match="names no day"):
        curves.conditional(np.zeros(0), 1)


# ----------------------------------------------------------------------------------------------------------- weights


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 6), st.booleans(), st.integers(1, 3), st.integers(0, 3)),
        min_size=1, max_size=20,
    ).filter(lambda rows: any(row[1] for row in rows)),
    st.booleans(),
    st.booleans(),
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*churned on the day of entry")
def test_a_frequency_is_a_row_repeated(rows: list[tuple], late: bool, clustered: bool) -> None:
    data = pd.DataFrame(rows, columns=["entry", "duration", "churned", "w", "user_id"])
    data["duration"] += data["entry"]
    options = {"entry": "entry" if late else None, "cluster": "user_id" if clustered else None}
    weighted = ch.kaplan_meier(data, weights="w", weights_kind="frequency", **options)
    repeated = ch.kaplan_meier(data.loc[np.repeat(data.index, data["w"])], **options)
    pd.testing.assert_frame_equal(weighted.table, repeated.table, rtol=1e-9, atol=1e-13)
    pd.testing.assert_frame_equal(weighted.cumulative_hazard, repeated.cumulative_hazard, rtol=1e-9, atol=1e-13)
    assert repr(weighted) == repr(repeated)


@given(st.sampled_from([1e-6, 0.37, 1e8]), st.booleans())
def test_the_unit_of_sampling_weights_does_not_matter(unit: float, clustered: bool) -> None:
    drawn = np.array([1.0, 0.4, 2.0, 1.3, 0.2, 5.0, 1.1, 0.9, 3.0, 0.7])
    options = {"weights": "w", "weights_kind": "sampling", "cluster": "user_id" if clustered else None}
    one, other = (ch.kaplan_meier(TEN.assign(w=drawn * scale), **options) for scale in (1.0, unit))
    pd.testing.assert_frame_equal(one.table, other.table, rtol=1e-9)
    assert one.table["n_at_risk"].tolist()[0] == 10  # rows


def test_equal_sampling_weights_are_the_curve_with_every_row_its_own_cluster() -> None:
    equal = ch.kaplan_meier(TEN.assign(w=2.5), weights="w", weights_kind="sampling")
    own = ch.kaplan_meier(TEN.assign(row=range(10)), cluster="row")
    pd.testing.assert_frame_equal(equal.table, own.table, rtol=1e-12)
    facts = equal._facts()
    assert (facts["weights"], facts["weights_kind"], facts["cluster"]) == ("w", "sampling", None)


def test_the_curve_keeps_its_own_rows() -> None:
    duration, churned = TEN["duration"].to_numpy(copy=True), TEN["churned"].to_numpy(copy=True)
    w = np.linspace(0.5, 2, 10)
    data = pd.DataFrame({"duration": duration, "churned": churned, "w": w}, copy=False)
    curves = ch.kaplan_meier(data, weights="w", weights_kind="sampling")
    before = curves.conditional(4, [4])
    data.loc[:, "w"] = 1.0
    data.loc[:, "duration"] = 1
    pd.testing.assert_frame_equal(curves.conditional(4, [4]), before)


def test_weights_need_their_kind() -> None:
    with pytest.raises(InputError, match="weights need weights_kind"):
        ch.kaplan_meier(TEN.assign(w=1), weights="w")
