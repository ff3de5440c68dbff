"""The chance of a second contact: fitted by hand and anew, and refused where it is a rule."""

import numpy as np
import pytest
import statsmodels.api as sm

from churnsurv.errors import InputError
from churnsurv.recall.contact_chance import contact_chance
from tests.numerics.test_clone_censor import DAY, DAYS, world


def fitted(n=3_000, seed=1, **covariates):
    time, _, contact, chance = world(n, np.random.default_rng(seed))
    x = (chance[:, DAY - 1] > 0.5).astype(float)
    return contact_chance(time, contact, {"x": x} | covariates, day=DAY, horizon=DAYS), time, contact, chance, x


def test_a_binary_covariate_gives_the_shares():
    found, time, contact, _, x = fitted()
    p = found.by_day()
    for value in (0, 1):
        silent = (time >= DAY) & ((contact == 0) | (contact >= DAY)) & (x == value)
        share = (contact[silent] == DAY).mean()
        np.testing.assert_allclose(p[silent, DAY - 1], share, rtol=1e-8)


def test_other_days_have_their_own_regression():
    found, time, contact, _, x = fitted()
    p = found.by_day()
    for value in (0, 1):
        asked = (time >= 3) & (x == value)
        np.testing.assert_allclose(p[asked, 2], (contact[asked] == 3).mean(), rtol=1e-8)
    assert not p[:, [0, 1, 3, 5, 28]].any()


def test_few_contacts_on_other_days_are_shares():
    time, contact = np.full(200, 9), np.zeros(200, dtype=np.int64)
    contact[:60], contact[60:65] = 4, 2
    p = contact_chance(time, contact, {"x": np.arange(200.0) % 7}, day=4, horizon=9).by_day()
    np.testing.assert_allclose(p[:, 1], 5 / 200)


def test_a_newton_step_is_nearly_a_new_fit():
    found, time, contact, _, x = fitted(z=np.random.default_rng(5).normal(size=3_000))
    count = np.random.default_rng(6).multinomial(time.size, np.full(time.size, 1 / time.size)).astype(float)
    z = np.random.default_rng(5).normal(size=3_000)
    silent = (time >= DAY) & ((contact == 0) | (contact >= DAY))
    matrix = np.column_stack([np.ones(silent.sum()), x[silent], z[silent]])
    model = sm.GLM(contact[silent] == DAY, matrix, family=sm.families.Binomial(), freq_weights=count[silent])
    anew, before = model.fit().fittedvalues, found.by_day()[silent, DAY - 1]
    step = found.by_day(count)[silent, DAY - 1]
    assert np.abs(anew - before).max() > 0.01
    assert np.abs(step - anew).max() < 0.003


@pytest.mark.parametrize(
    ("share", "message"),
    [
        (0.0, r"Nobody of the 100 users .* rule without exception"),
        (1.0, r"Everybody of the 100 users"),
        (0.1, r"fewer than 20"),
    ],
)
def test_a_rule_without_exception_is_refused(share, message):
    contact = np.where(np.arange(100) < 100 * share, 5, 0)
    with pytest.raises(InputError, match=message):
        contact_chance(np.full(100, 9), contact, {}, day=5, horizon=9)


def test_contacts_that_go_by_a_covariate_are_refused():
    balance = np.arange(200.0)
    with pytest.raises(InputError, match=r"foretold by the covariates.*randomise the second contact"):
        contact_chance(np.full(200, 9), np.where(balance < 100, 5, 0), {"balance": balance}, day=5, horizon=9)


def test_nobody_left_on_the_day():
    with pytest.raises(InputError, match=r"Nobody was silent and not yet contacted again on day 5"):
        contact_chance(np.full(50, 3), np.zeros(50, dtype=np.int64), {}, day=5, horizon=9)
