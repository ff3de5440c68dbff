"""Folds, rows of a fold, and the deviance of what was left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnsurv.errors import ConvergenceError, InputError
from churnsurv.numerics.cox import CoxData, derivatives, state_at
from churnsurv.numerics.cross_validation import CrossValidation, balanced_folds, cross_validate, rows_of
from churnsurv.numerics.design import Indicators, design
from churnsurv.numerics.penalised import fit_penalised
from churnsurv.numerics.risk_sets import risk_sets
from tests.numerics import brute_cox
from tests.numerics.brute_cox import Rows
from tests.numerics.test_cox import data_of
from tests.numerics.test_penalised import made_up


def of_rows(rows: Rows, which) -> Rows:
    return Rows(*(np.asarray(getattr(rows, name))[which] for name in ("x", "duration", "event", "entry", "stratum")))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), n_strata=st.integers(1, 4), late=st.booleans(), kind=st.sampled_from("nfs"))
def test_rows_of_a_fold_are_a_likelihood_of_their_own(seed: int, n_strata: int, late: bool, kind: str) -> None:
    rows = brute_cox.random_rows(seed, 30, 2, n_days=8, n_strata=n_strata, late=late)
    rng = np.random.default_rng(seed)
    which = rng.random(30) < 0.7
    if not (rows.event & (rows.entry < rows.duration) & which).any():
        return
    weights = {"n": {}, "f": {"frequency": rng.integers(1, 4, 30)}, "s": {"sampling": rng.uniform(0.2, 4, 30)}}[kind]
    offset = rng.normal(size=30)
    whole = data_of(rows, offset=offset, **weights)
    own = data_of(of_rows(rows, which), offset=offset[which], **{k: v[which] for k, v in weights.items()})
    part = rows_of(whole, which)
    b = rng.normal(size=2)
    here, there = state_at(part, b * part.design.scale), state_at(own, b * own.design.scale)
    assert here.log_likelihood == pytest.approx(there.log_likelihood, rel=1e-11, abs=1e-12)
    information = [
        derivatives(data, state, np.zeros(2)).information * np.outer(data.design.scale, data.design.scale)
        for data, state in ((part, here), (own, there))
    ]
    np.testing.assert_allclose(*information, rtol=1e-9, atol=1e-11)
    assert part.sets.n_events.tolist() == own.sets.n_events.tolist()
    assert part.sets.n_at_risk.tolist() == own.sets.n_at_risk.tolist()


@given(n_folds=st.integers(2, 12), seed=st.integers(0, 99), n=st.integers(12, 60))
def test_folds_are_balanced(n_folds: int, seed: int, n: int) -> None:
    events = np.random.default_rng(seed).integers(0, 3, n)
    folds = balanced_folds(events, n_folds, seed)
    size, churn = np.bincount(folds, minlength=n_folds), np.bincount(folds, events, n_folds)
    assert size.max() - size.min() <= 1
    assert churn.max() - churn.min() <= 2
    assert (folds == balanced_folds(events, n_folds, seed)).all()


def test_another_seed_deals_other_folds() -> None:
    events = np.arange(100) % 2
    assert (balanced_folds(events, 5, 0) != balanced_folds(events, 5, 1)).sum() > 50


@pytest.mark.parametrize("l1_ratio", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_the_deviance_is_its_definition(ties: str, l1_ratio: float) -> None:
    rows = brute_cox.random_rows(8, 90, 3, n_days=12, n_strata=2, late=True)
    counted = rows.entry < rows.duration
    data = data_of(rows, ties)
    folds = balanced_folds(rows.event & counted, 4, 3)
    penalties = np.array([0.3, 0.05, 0.01])
    penalised = np.array([True, True, False])
    guesses = np.zeros((4, 3))
    found = cross_validate(data, folds, penalties, l1_ratio, penalised, coefficients=guesses, counted=counted)
    for k in range(4):
        part = data_of(of_rows(rows, counted & (folds != k)), ties)
        for i, penalty in enumerate(penalties):
            fit = fit_penalised(part, penalty=penalty, l1_ratio=l1_ratio, penalised=penalised)
            gain = state_at(data, fit.coefficients * data.design.scale).log_likelihood - fit.log_likelihood
            # the fits without a fold end at 1e-7 standard errors
            assert found.deviance[k, i] == pytest.approx(-2 * gain / found.events[k], rel=2e-8)
    assert found.events.tolist() == np.bincount(folds, rows.event & counted).tolist()
    share = found.events / found.events.sum()
    mean = share @ found.deviance
    np.testing.assert_allclose(found.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(found.std_error, np.sqrt(share @ (found.deviance - mean) ** 2 / 3), rtol=1e-12)


def test_good_guesses_change_nothing_but_the_way() -> None:
    data = made_up()
    folds = balanced_folds(data.sets.event, 5, 0)
    penalties = np.array([0.2, 0.05, 0.01])
    everything = np.ones(6, dtype=bool)
    fits = [fit_penalised(data, penalty=penalty, l1_ratio=1.0).coefficients for penalty in penalties]
    near, far = (
        cross_validate(data, folds, penalties, 1.0, everything, coefficients=guess)
        for guess in (np.array([np.zeros(6), *fits]), np.full((4, 6), 7.0))
    )
    np.testing.assert_allclose(near.deviance, far.deviance, rtol=1e-8)


def test_the_choices() -> None:
    # one column of deviances a penalty: mean 12, 10, 9.9, 11; the lowest has standard error sqrt(0.5) / ...
    found = CrossValidation(np.array([[11.0, 9.5, 9.2, 11.0], [13.0, 10.5, 10.6, 11.0]]), np.array([5.0, 5.0]))
    assert found.mean.tolist() == [12.0, 10.0, 9.9, 11.0]
    np.testing.assert_allclose(found.std_error, [1.0, 0.5, 0.7, 0.0])
    assert (found.best(), found.sparse()) == (2, 1)


def test_a_category_that_a_fold_lacks_is_zero_without_it_or_named() -> None:
    rng = np.random.default_rng(0)
    codes = np.zeros(80, dtype=np.int32)
    codes[:4] = 1  # a rare category, all of it in the first fold
    folds = np.repeat([0, 1, 2, 3], 20)
    made = design([rng.normal(size=80)], ["x"], [Indicators(codes, ("plan: b",), "plan: a")], n_rows=80)
    data = CoxData(made, risk_sets(rng.integers(1, 25, 80), np.ones(80, dtype=bool)))
    guesses = np.zeros((2, 2))
    found = cross_validate(data, folds, np.array([0.01]), 1.0, np.ones(2, dtype=bool), coefficients=guesses)
    assert np.isfinite(found.deviance).all()
    with pytest.raises(ConvergenceError, match=r"without fold 1 of 4: nobody in 'plan: b'.*Fewer folds"):
        cross_validate(data, folds, np.array([0.01]), 1.0, np.array([True, False]), coefficients=guesses)


def test_a_fold_without_churn_is_an_error() -> None:
    data = made_up(n=40)
    folds = np.where(data.sets.event, 0, 1)
    with pytest.raises(InputError, match="1 of 2 folds have no churn"):
        cross_validate(data, folds, np.array([0.1]), 1.0, np.ones(6, dtype=bool), coefficients=np.zeros((2, 6)))


def test_sampling_weights_weigh_events() -> None:
    data = made_up()
    sampling = np.random.default_rng(0).uniform(0.2, 3, 400)
    folds = balanced_folds(data.sets.event, 4, 0)
    kwargs = {"coefficients": np.zeros((2, 6))}
    one, thousand = (
        cross_validate(replace(data, sampling=w), folds, np.array([0.05]), 1.0, np.ones(6, dtype=bool), **kwargs)
        for w in (sampling, sampling * 1000)
    )
    np.testing.assert_allclose(one.events, np.bincount(folds, sampling * data.sets.event), rtol=1e-12)
    # each event's risk set is in other units, the same for all penalties and folds
    np.testing.assert_allclose(thousand.deviance - one.deviance, 2 * np.log(1000), rtol=1e-8)
