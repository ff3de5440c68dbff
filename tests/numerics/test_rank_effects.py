"""Targeting curves and areas against brute force: by hand, by definition row by row, and by moving weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churnsurv.numerics.rank_effects import area_effects, curve_effects, ranking, satterthwaite


def gain(value, score, share, weight=None):
    """The gain by definition: go down the scores, users with equal ones taken for the same part of what is left."""
    weight = np.full(len(score), 1 / len(score)) if weight is None else weight
    left, total = share, 0.0
    for each in sorted(set(score.tolist()), reverse=True):
        here = score == each
        part = min(left / weight[here].sum(), 1.0)
        total += part * (weight * value)[here].sum()
        left -= part * weight[here].sum()
        if left <= 1e-15:
            break
    return total


def areas(value, score, weight=None, steps=200_000):
    """Areas under toc and qini by a fine sum over shares; gain is linear between the ends of blocks."""
    weight = np.full(len(score), 1 / len(score)) if weight is None else weight
    values = sorted(set(score.tolist()), reverse=True)
    ends = np.append(0.0, np.cumsum([weight[score == each].sum() for each in values]))
    sums = np.append(0.0, np.cumsum([(weight * value)[score == each].sum() for each in values]))
    q = (np.arange(steps) + 0.5) / steps
    curve = np.interp(q, ends, sums)
    return np.mean(curve / q) - sums[-1], np.mean(curve - q * sums[-1])


@pytest.fixture(scope="module")
def tied():
    rng = np.random.default_rng(5)
    return rng.normal(size=60) + 0.3, rng.integers(0, 9, 60).astype(float)


def test_five_users_by_hand():
    """Scores 9, 7, 7, 7, 1 and values 2, 1, 0, -1, 3 (mean 1): the three in the middle have the mean 0."""
    value, score = np.array([2.0, 1, 0, -1, 3]), np.array([9.0, 7, 7, 7, 1])
    found = curve_effects(value, ranking(score), np.array([0.1, 0.2, 0.4, 0.8, 1.0]))
    np.testing.assert_allclose(found.effect, [2, 2, 1, 0.5, 1], atol=1e-12)
    np.testing.assert_allclose(found.toc, [1, 1, 0, -0.5, 0], atol=1e-12)
    # toc falls as .4 / q - 1 on (.2, .8), then is 1 - (3 - 5 (1 - q)... ) : (q 3 - 2) / q - 1
    middle = 0.4 * np.log(4) - 0.6
    end = 2 * 0.2 - 2 * np.log(1 / 0.8)
    areas_found = area_effects(value, ranking(score))
    assert areas_found.autoc == pytest.approx(0.2 + middle + end, abs=1e-12)
    # qini: triangles and trapezoids between 0, .2, -.4, 0 at shares 0, .2, .8, 1
    assert areas_found.qini_area == pytest.approx(0.02 - 0.06 - 0.04, abs=1e-12)


def test_curve_and_areas_are_those_of_the_definition(tied):
    value, score = tied
    at = np.array([0.03, 0.11, 0.5, 0.77, 1.0])
    found = curve_effects(value, ranking(score), at)
    np.testing.assert_allclose(found.effect * at, [gain(value, score, q) for q in at], atol=1e-12)
    brute = areas(value, score)
    got = area_effects(value, ranking(score))
    np.testing.assert_allclose([got.autoc, got.qini_area], brute, atol=2e-5)


@pytest.mark.parametrize("distinct", [True, False])
def test_influence_of_areas_is_the_derivative_in_the_weight_of_a_row(tied, distinct):
    value, score = tied
    value, score = value[:12], np.arange(12.0) if distinct else score[:12]
    got = area_effects(value, ranking(score))

    def at(weight):
        values = sorted(set(score.tolist()), reverse=True)
        upper = np.cumsum([weight[score == each].sum() for each in values])
        lower = np.append(0.0, upper[:-1])
        sums = np.array([(weight * value)[score == each].sum() for each in values])
        log = np.log(np.where(lower > 0, lower, 1.0))
        height = 1 - (upper * np.log(upper) - lower * log) / (upper - lower)
        return np.array([sums @ (height - 1), sums @ (0.5 - (lower + upper) / 2)])

    step, flat = 1e-6, np.full(12, 1 / 12)
    for i in range(12):
        moved = step * (np.arange(12) == i)
        up, down = (at((flat + s * moved) / (flat + s * moved).sum()) for s in (1, -1))
        slope = (up - down) / (2 * step) / 12
        np.testing.assert_allclose([got.autoc_influence[i], got.qini_influence[i]], slope, atol=1e-8)


def test_covariance_of_the_curve_is_that_of_its_influences_row_by_row(tied):
    value, score = tied
    ranked, at = ranking(score), np.array([0.2, 0.41, 0.9, 1.0])
    cluster = np.arange(60) // 3
    n, mean, half = 60, value.mean(), 0.25
    psi = []
    for q in at:
        low, high = max(q - half, 0), min(q + half, 1)
        slope = (gain(value, score, high) - gain(value, score, low)) / (high - low)
        w = ranked.targeted(q)
        psi.append((w * value - gain(value, score, q) - (w - q) * slope) / q)
    psi = np.array(psi)
    toc = psi - (value - mean)
    for rows, keywords in (
        (np.eye(n), {}),
        (np.eye(20)[cluster], {"cluster": cluster, "n_clusters": 20}),
    ):
        found = curve_effects(value, ranked, at, **keywords)
        of_effect, of_toc = psi @ rows, toc @ rows
        np.testing.assert_allclose(found.effect_covariance, of_effect @ of_effect.T / n**2, atol=1e-14)
        np.testing.assert_allclose(found.toc_covariance, of_toc @ of_toc.T / n**2, atol=1e-14)
        np.testing.assert_allclose(
            found.effect_df, satterthwaite((of_effect**2).sum(1), (of_effect**4).sum(1), n), rtol=1e-9
        )


@pytest.mark.parametrize("clustered", [False, True])
def test_terms_of_follow_up_are_taken_out_as_by_a_regression_of_each_influence(tied, clustered):
    value, score = tied
    ranked, at, n = ranking(score), np.array([0.3, 0.8]), 60
    terms = np.random.default_rng(8).normal(size=(n, 3))
    groups = np.arange(n) // 4
    how = {"cluster": groups, "n_clusters": 15} if clustered else {}
    half = 0.25
    psi = []
    for q in at:
        low, high = max(q - half, 0), min(q + half, 1)
        slope = (gain(value, score, high) - gain(value, score, low)) / (high - low)
        w = ranked.targeted(q)
        psi.append((w * value - gain(value, score, q) - (w - q) * slope) / q)
    rest = np.array([each - terms @ np.linalg.lstsq(terms, each, rcond=None)[0] for each in psi])
    toc = np.array(psi) - (value - value.mean())
    rest_toc = np.array([each - terms @ np.linalg.lstsq(terms, each, rcond=None)[0] for each in toc])
    rows = np.eye(15)[groups] if clustered else np.eye(n)
    found = curve_effects(value, ranked, at, terms=terms, **how)
    np.testing.assert_allclose(found.effect_covariance, (rest @ rows) @ (rest @ rows).T / n**2, atol=1e-14)
    np.testing.assert_allclose(found.toc_covariance, (rest_toc @ rows) @ (rest_toc @ rows).T / n**2, atol=1e-14)
    plain = curve_effects(value, ranked, at, **how)
    some = curve_effects(value, ranked, at, terms=terms, part=0.5, **how)
    np.testing.assert_allclose(
        2 * some.effect_covariance, plain.effect_covariance + found.effect_covariance, atol=1e-14
    )


def test_clusters_of_one_and_of_several_add_up(tied):
    value, score = tied
    cluster = np.minimum(np.arange(60), 50)  # fifty alone, ten together
    found = curve_effects(value, ranking(score), np.array([0.3, 1.0]), cluster=cluster, n_clusters=51)
    every = curve_effects(value, ranking(score), np.array([0.3, 1.0]))
    psi = value - value.mean()
    np.testing.assert_allclose(
        found.effect_covariance[1, 1], ((psi[:50] ** 2).sum() + psi[50:].sum() ** 2) / 3600, rtol=1e-12
    )
    assert found.effect_covariance[1, 1] != pytest.approx(every.effect_covariance[1, 1])


@given(
    st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 4)), min_size=2, max_size=25),
    st.randoms(use_true_random=False),
)
def test_the_order_of_rows_and_the_scale_of_scores_say_nothing(rows, random):
    value, score = (np.array(each, dtype=float) for each in zip(*rows, strict=True))
    order = list(range(len(rows)))
    random.shuffle(order)
    at = np.array([0.07, 0.5, 0.93])
    one = curve_effects(value, ranking(score), at)
    two = curve_effects(value[order], ranking(np.exp(score[order])), at)
    np.testing.assert_allclose(one.effect, two.effect, atol=1e-12)
    np.testing.assert_allclose(one.toc_covariance, two.toc_covariance, atol=1e-12)
    a, b = area_effects(value, ranking(score)), area_effects(value[order], ranking(np.exp(score[order])))
    assert a.autoc == pytest.approx(b.autoc, abs=1e-12)
    np.testing.assert_allclose(a.qini_influence[order], b.qini_influence, atol=1e-12)


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 4)), min_size=2, max_size=20), st.integers(-5, 5))
def test_the_same_effect_on_all_more_or_less_does_not_change_what_a_ranking_is_worth(rows, more):
    value, score = (np.array(each, dtype=float) for each in zip(*rows, strict=True))
    a, b = area_effects(value, ranking(score)), area_effects(value + more, ranking(score))
    assert a.autoc == pytest.approx(b.autoc, abs=1e-10)
    assert a.qini_area == pytest.approx(b.qini_area, abs=1e-10)
    np.testing.assert_allclose(a.autoc_influence, b.autoc_influence, atol=1e-10)
    assert a.autoc_influence.sum() == pytest.approx(0, abs=1e-10)
    # twice every row changes no estimate
    c = area_effects(np.tile(value, 2), ranking(np.tile(score, 2)))
    assert a.autoc == pytest.approx(c.autoc, abs=1e-10)


def test_equal_scores_are_no_ranking():
    found = area_effects(np.array([1.0, 5, 2]), ranking(np.zeros(3)))
    assert found.autoc == pytest.approx(0, abs=1e-15)
    assert found.qini_area == pytest.approx(0, abs=1e-15)
