"""The score test of proportional hazards and Cox fits by window, as formulas of arrays."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnsurv.errors import InputError
from churnsurv.numerics.collapse import collapse
from churnsurv.numerics.cox import CoxData, CoxState, fit_cox, state_at
from churnsurv.numerics.design import Indicators, design
from churnsurv.numerics.ph_test import PHScore, fit_window, ph_score, transformed
from churnsurv.numerics.risk_sets import risk_sets
from tests.numerics import brute_cox

TRANSFORMS = ["km", "rank", "identity", "log"]


def at_maximum(data: CoxData) -> CoxState:
    return state_at(data, fit_cox(data).coefficients * data.design.scale)


def cox_data(rows: brute_cox.Rows, **more: Any) -> CoxData:
    columns = [rows.x[:, j] for j in range(rows.x.shape[1])]
    sets = risk_sets(
        rows.duration, rows.event, entry=rows.entry, stratum=rows.stratum, n_strata=int(rows.stratum.max()) + 1
    )
    return CoxData(design(columns, [f"x{j}" for j in range(len(columns))], n_rows=rows.n), sets, **more)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_three_users_by_hand(transform: str) -> None:
    # Churn on days 1, 2, 3 with x = 0, 1, 0: e^b = r = sqrt 2. The score of day 1 is -r/(r + 2), that of day 2 is
    # 1/(r + 1), and they cancel; the information i of either day is r/(r + 1)^2. Day 3 has one user and says nothing.
    # With g one apart on these days U = 1/(r + 1) and V = i i / (i + i), so that U^2 / V = 2 / r = sqrt 2, whatever g.
    days = np.array([1, 2, 3])
    data = CoxData(design([np.array([0.0, 1.0, 0.0])], ["x"], n_rows=3), risk_sets(days, days > 0))
    g = transformed(transform, data.sets, duration=days)  # type: ignore[arg-type]
    test = ph_score(data, at_maximum(data), g).test(np.array([0]))
    assert test.statistic == pytest.approx(np.sqrt(2), rel=1e-12)
    assert test.df == 1


def test_the_robust_variance_of_two_days_by_hand() -> None:
    # The same three users, each a cluster. In units of the score of day 2, e = 1/(r + 1), with m = r/(r + 1) = 1 - m':
    # the residuals of b are made of what each user adds on days 1 and 2; those of c only of day 2, as g = 0 on day 1.
    r = np.sqrt(2)
    days, x = np.array([1, 2, 3]), np.array([0.0, 1.0, 0.0])
    m1, m2 = r / (r + 2), r / (r + 1)
    theta = np.array([1.0, r, 1.0])
    day1 = (np.array([1, 0, 0]) - theta / (r + 2)) * (x - m1)
    day2 = (np.array([0, 1, 0]) - np.array([0, r, 1]) / (r + 1)) * (x - m2)
    adjusted = day2 - (day1 + day2) / 2  # J_cb / J_bb = 1/2: both days have the same information
    data = CoxData(design([x], ["x"], n_rows=3), risk_sets(days, days > 0))
    score = ph_score(data, at_maximum(data), np.array([0.0, 1.0, 1.0]), cluster=np.arange(3))
    expected = (1 / (r + 1)) ** 2 / float(adjusted @ adjusted)
    assert score.test(np.array([0])).statistic == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("weighted", [False, True])
def test_score_and_information_are_derivatives_of_the_likelihood(ties: Any, weighted: bool) -> None:
    # Rows cut at every day of churn make x g(t) an ordinary covariate, whose likelihood is written down by definition.
    rows = brute_cox.random_rows(3, 9, 1, n_days=4, n_strata=2)
    weight = np.round(np.random.default_rng(1).uniform(0.5, 2, rows.n), 2) if weighted else None
    data = cox_data(rows, ties=ties, sampling=weight)
    state = at_maximum(data)
    days = np.unique(data.sets.time)
    g = {int(day): day**2 / 10 for day in days}
    cut: list[tuple[Any, ...]] = []
    for i in range(rows.n):
        for day in days:
            if rows.entry[i] < day <= rows.duration[i]:
                x = float(rows.x[i, 0])
                churned = bool(rows.event[i] and rows.duration[i] == day)
                cut.append(((x, x * g[int(day)]), day, churned, day - 1, rows.stratum[i], i))
    x, duration, event, entry, stratum, of = (np.array(column) for column in zip(*cut, strict=True))
    long = brute_cox.Rows(x, duration, event, entry, stratum)
    at = [mp.mpf(float(state.coefficients[0] / data.design.scale[0])), mp.mpf(0)]
    weights = None if weight is None else [mp.mpf(float(weight[i])) for i in of]
    J = brute_cox.information(long, at, ties, weights)
    U = float(brute_cox.score(long, at, ties, weights)[1])
    expected = U**2 / (J[1, 1] - J[1, 0] ** 2 / J[0, 0])
    found = ph_score(data, state, np.array([g[int(day)] for day in data.sets.time]))
    assert found.test(np.array([0])).statistic == pytest.approx(expected, rel=1e-8)


def random_data(seed: int, *, ties: Any = "efron") -> tuple[CoxData, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    n = 150
    x, codes = rng.normal(size=n), rng.integers(0, 3, n).astype(np.int32)
    duration = np.ceil(rng.exponential(30 * np.exp(-0.3 * x))).astype(int) + 3
    entry = np.where(rng.random(n) < 0.4, rng.integers(0, 3, n), 0)
    sets = risk_sets(duration, rng.random(n) < 0.8, entry=entry, stratum=rng.integers(0, 2, n), n_strata=2)
    made = design([x], ["x"], [Indicators(codes, ("c: 1", "c: 2"), "c: 0")], n_rows=n)
    return CoxData(made, sets, ties), duration, entry


@settings(max_examples=15)
@given(
    seed=st.integers(0, 1000),
    transform=st.sampled_from(TRANSFORMS),
    ties=st.sampled_from(["efron", "breslow"]),
    robust=st.booleans(),
)
def test_unit_and_zero_of_time_make_no_difference(seed: int, transform: Any, ties: Any, robust: bool) -> None:
    data, duration, entry = random_data(seed, ties=ties)
    state, cluster = at_maximum(data), np.arange(data.design.n_rows) // 2 if robust else None
    g = transformed(transform, data.sets, duration=duration, entry=entry)
    for columns in ([0], [1, 2], [0, 1, 2]):
        one, other = (ph_score(data, state, h, cluster=cluster).test(np.array(columns)) for h in (g, 5 - 1e3 * g))
        assert one.statistic == pytest.approx(other.statistic, rel=1e-6, abs=1e-9)
        assert one.df == other.df == len(columns)
        assert 0 <= one.p_value <= 1


def test_equal_rows_may_be_collapsed() -> None:
    rng = np.random.default_rng(5)
    codes = rng.integers(0, 3, 400).astype(np.int32)
    duration, event = rng.integers(1, 9, 400), rng.random(400) < 0.6
    made = design([], [], [Indicators(codes, ("b", "c"), "a")], n_rows=400)
    data = CoxData(made, risk_sets(duration, event))
    few = collapse(data)
    assert few.design.n_rows < 60
    g = transformed("rank", data.sets, duration=duration)
    both = [ph_score(each, at_maximum(each), g).test(np.array([0, 1])) for each in (data, few)]
    assert both[0].statistic == pytest.approx(both[1].statistic, rel=1e-10)


def test_clusters_are_summed_whatever_their_order_and_size(monkeypatch: pytest.MonkeyPatch) -> None:
    data, duration, entry = random_data(8)
    state = at_maximum(data)
    g = transformed("km", data.sets, duration=duration, entry=entry)
    cluster = np.random.default_rng(2).choice(40, size=150, p=np.r_[0.4, np.full(39, 0.6 / 39)])
    whole = ph_score(data, state, g, cluster=cluster).variance
    monkeypatch.setattr("churnsurv.numerics.ph_test._CHUNK", 7)
    np.testing.assert_allclose(ph_score(data, state, g, cluster=cluster * 3 + 5).variance, whole, rtol=1e-12)


def test_ranks_and_survival_of_weighted_rows_are_those_of_repeated_ones() -> None:
    rng = np.random.default_rng(4)
    duration, event, w = rng.integers(2, 12, 60), rng.random(60) < 0.5, rng.integers(1, 5, 60)
    entry, stratum = rng.integers(0, 4, 60), rng.integers(0, 2, 60)
    often = np.repeat(np.arange(60), w)
    for transform in TRANSFORMS:
        one = transformed(
            transform,  # type: ignore[arg-type]
            risk_sets(duration, event, entry=entry, stratum=stratum, n_strata=2, frequency=w),
            duration=duration,
            entry=entry,
            frequency=w,
        )
        other = transformed(
            transform,  # type: ignore[arg-type]
            risk_sets(duration[often], event[often], entry=entry[often], stratum=stratum[often], n_strata=2),
            duration=duration[often],
            entry=entry[often],
        )
        np.testing.assert_allclose(one, other, rtol=1e-13)


def test_what_cannot_be_transformed_is_said() -> None:
    days = np.array([0, 1, 2])
    sets = risk_sets(days, days >= 0)
    with pytest.raises(InputError, match=r"not 'ranks'. Did you mean 'rank'\?"):
        transformed("ranks", sets, duration=days)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="every churn after day 0"):
        transformed("log", sets, duration=days)


def test_churn_on_one_day_tells_nothing_of_time() -> None:
    data = CoxData(
        design([np.array([0.0, 1.0, 2.0, 0.5])], ["x"], n_rows=4), risk_sets(np.full(4, 3), np.arange(4) > 1)
    )
    with pytest.raises(InputError, match="one value of the transformed time"):
        ph_score(data, state_at(data, np.zeros(1)), np.array([0.0]))


def test_a_direction_without_information_is_left_out() -> None:
    def model(score: list[float], variance: np.ndarray) -> PHScore:
        return PHScore(np.array(score), variance, variance, np.ones(len(score)))

    score = model([2.0, 0.0, 2.0], np.diag([4.0, 1e-14, 0.0]))
    assert (score.test(np.array([0, 1])).df, score.test(np.array([0, 1])).statistic) == (1, 1.0)
    nothing = score.test(np.array([1, 2]))
    assert nothing.df == 0
    assert np.isnan([nothing.statistic, nothing.p_value]).all()
    # two columns of which one is the other say the same
    twice = model([2.0, 4.0], np.array([[4.0, 8.0], [8.0, 16.0]]))
    assert twice.test(np.array([0, 1])).statistic == pytest.approx(1.0)
    assert twice.test(np.array([0, 1])).df == 1


def test_too_few_clusters_give_no_test() -> None:
    score = PHScore(np.array([2.0, 4.0]), np.array([[4.0, 8.0], [8.0, 16.0]]), np.eye(2), np.ones(2))
    both = score.test(np.array([0, 1]))
    assert both.df == 2
    assert np.isnan([both.statistic, both.p_value]).all()
    assert score.test(np.array([1])).statistic == pytest.approx(1.0)


@pytest.mark.slow
def test_size_under_recurrent_spells() -> None:
    # A shared frailty and a covariate of the user without effect: hazards are proportional, spells are not independent.
    p_values = np.array([_p_values(seed) for seed in range(200)])
    naive, robust = (p_values < 0.05).mean(axis=0)
    assert naive > 0.12
    assert 0.02 < robust < 0.08


def _p_values(seed: int) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(100), rng.integers(8, 16, 100))
    x, frailty = rng.normal(size=100)[user], rng.gamma(0.5, 2.0, 100)[user]
    life, follow = 30 + np.floor(rng.exponential(40 / frailty)), rng.integers(35, 250, user.size)
    duration = np.minimum(life, follow).astype(int)
    data = CoxData(design([x], ["x"], n_rows=user.size), risk_sets(duration, life <= follow))
    state, g = at_maximum(data), transformed("km", data.sets, duration=duration)
    naive, robust = (ph_score(data, state, g, cluster=c).test(np.array([0])).p_value for c in (None, user))
    return naive, robust


# ---- Windows ----


def windowed(after: float, until: float, entry: np.ndarray, duration: np.ndarray, event: np.ndarray) -> Any:
    """The same rows cut by hand: at risk in the window only."""
    start = np.maximum(entry, after)
    kept = start < np.minimum(duration, until)
    return kept, start, np.minimum(duration, until), event & (duration <= until)


@settings(max_examples=10)
@given(seed=st.integers(0, 300), robust=st.booleans(), weighted=st.booleans())
def test_a_window_is_the_fit_to_rows_cut_by_hand(seed: int, robust: bool, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    n = 160
    x, codes, stratum = rng.normal(size=n), rng.integers(0, 3, n).astype(np.int32), rng.integers(0, 2, n)
    duration = np.ceil(rng.exponential(20, n)).astype(int) + 3
    entry, event = np.where(rng.random(n) < 0.4, rng.integers(0, 12, n), 0), rng.random(n) < 0.8
    entry = np.minimum(entry, duration)
    w = rng.integers(1, 4, n) if weighted else None
    cluster = rng.integers(0, 50, n) if robust else None

    def data(entry: np.ndarray, duration: np.ndarray, event: np.ndarray, which: Any) -> CoxData:
        few = None if w is None else w[which]
        sets = risk_sets(duration[which], event[which], entry=entry[which], stratum=stratum[which], n_strata=2,
                         frequency=few)  # fmt: skip
        made = design([x[which]], ["x"], [Indicators(codes[which], ("c: 1", "c: 2"), "c: 0")], n_rows=sets.event.size)
        return CoxData(made, sets, frequency=None if few is None else few.astype(float))

    whole = data(entry, duration, event, slice(None))
    for after, until in ((0, 10), (10, 18), (18, 200), (30, 200)):
        kept, *cut = windowed(after, until, entry, duration, event)
        one = data(*cut, kept)
        near = np.array([0.3, -0.2, 0.1]) * whole.design.scale  # where the search begins makes no difference
        found = fit_window(whole, after, until, start=near, cluster=cluster)
        other = fit_window(one, -np.inf, np.inf, cluster=None if cluster is None else cluster[kept])
        direct = fit_cox(one)
        np.testing.assert_allclose(found.coefficients, direct.coefficients, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(found.std_error, other.std_error, rtol=1e-8)
        if not robust:
            np.testing.assert_allclose(found.std_error**2, np.diagonal(direct.inverse_information), rtol=1e-8)
        assert found.reasons == (None, None, None)
        weight = np.ones(n) if w is None else w
        churns = weight * (event & (entry < duration) & (duration > after) & (duration <= until))
        assert found.n_events.tolist() == [churns.sum(), churns[codes == 1].sum(), churns[codes == 2].sum()]


def small(codes: list[int], duration: list[int], event: list[int], **indicators: Any) -> CoxData:
    n = len(codes)
    x = np.sin(np.arange(n) * 7.0)
    names = tuple(f"c: {k}" for k in range(1, max(codes) + 1))
    part = Indicators(np.array(codes, dtype=np.int32), names, "c: 0", **indicators)
    made = design([x], ["x"], [part], n_rows=n)
    return CoxData(made, risk_sets(np.array(duration), np.array(event, dtype=bool)))


def test_a_reference_without_churn_leaves_the_other_variables() -> None:
    codes = [0, 0, 0, 1, 1, 1, 2, 2, 2, 1]
    duration, event = [9, 9, 11, 1, 3, 8, 2, 4, 9, 5], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    data = small(codes, duration, event)
    found = fit_window(data, 0, 5)
    assert found.reasons == (None, *("no churn of the reference in this window",) * 2)
    assert np.isnan(found.coefficients[1:]).all()
    others = np.flatnonzero(np.array(codes))
    alone = small([codes[i] - 1 for i in others], [min(duration[i], 5) for i in others],
                  [int(event[i] and duration[i] <= 5) for i in others])  # fmt: skip
    x = np.sin(others * 7.0)
    alone = CoxData(design([x], ["x"], alone.design.indicators, n_rows=len(others)), alone.sets)
    assert found.coefficients[0] == pytest.approx(fit_cox(alone).coefficients[0], rel=1e-9)


def test_a_category_that_has_left_has_nobody_at_risk() -> None:
    data = small([0, 1, 0, 1, 0, 2, 2], [2, 3, 4, 8, 9, 1, 2], [1, 1, 1, 1, 1, 1, 1])
    found = fit_window(data, 2, 9)
    assert found.reasons[2] == "nobody at risk of this category in this window"
    assert found.reasons[:2] == (None, None)


def test_slopes_of_a_category_without_churn_go_with_it() -> None:
    codes = np.array([0, 1, 0, 1, 0, 1, 0, 0, 2, 2], dtype=np.int32)
    x = np.sin(np.arange(10) * 3.0)
    parts = [Indicators(codes, ("c: 1", "c: 2"), "c: 0"), Indicators(codes, ("c: 1 × x", "c: 2 × x"), "c: 0", x)]
    duration, event = np.array([1, 2, 3, 4, 4, 5, 6, 7, 8, 9]), np.ones(10, dtype=bool)
    data = CoxData(design([x], ["x"], parts, n_rows=10), risk_sets(duration, event))
    found = fit_window(data, 0, 7)
    assert found.reasons == (None, None, "no churn of this category in this window", None,
                             "no churn of this category in this window")  # fmt: skip
    assert np.isfinite(found.coefficients[[0, 1, 3]]).all()


def test_an_infinite_slope_is_said_for_the_whole_window() -> None:
    days = np.array([1, 2, 3, 4, 9, 8, 7])
    x = np.array([7.0, 6.0, 5.0, 4.0, 1.5, 1.0, 2.0])
    data = CoxData(design([x], ["x"], n_rows=7), risk_sets(days, days > 0))
    found = fit_window(data, 0, 4)
    assert found.reasons[0] is not None
    assert found.reasons[0].startswith("no estimate in this window: no finite estimate exists (separation)")
    assert np.isnan(found.coefficients[0])
    assert fit_window(data, 4, 6).reasons == ("no churn in this window",)


def test_all_categories_gone_is_no_fit() -> None:
    codes = np.array([0, 0, 1, 1], dtype=np.int32)
    data = CoxData(design([], [], [Indicators(codes, ("c: 1",), "c: 0")], n_rows=4),
                   risk_sets(np.array([1, 2, 3, 4]), np.ones(4, dtype=bool)))  # fmt: skip
    assert fit_window(data, 0, 2).reasons == ("no churn of this category in this window",)
