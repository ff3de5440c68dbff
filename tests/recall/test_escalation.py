"""A second contact to those who are silent: from tables to the answer, under chosen and under drawn contacts."""

import numpy as np
import pandas as pd
import pytest

from churnsurv.data import ActivityLog
from churnsurv.errors import InputError
from churnsurv.numerics.clone_censor import policy_risks
from churnsurv.recall.contact_chance import contact_chance
from churnsurv.recall.escalation import escalation_effect
from tests.numerics.test_clone_censor import DAY, DAYS, truth, world

START = pd.Timestamp("2024-03-01")


def tables(time, returned, contact, *, x, arm="push", shift=0, until="2024-05-31", **columns):
    """A log in which each user returns on the day of `time`, and the assignments; day 1 is START."""
    user = np.arange(time.size)
    users = pd.DataFrame({"user_id": user, "registered_at": "2024-01-01", "x": x})
    back = pd.DataFrame({"user_id": user, "event_at": START + pd.to_timedelta(time - 1, unit="D")})[returned]
    second = START + pd.to_timedelta(contact - 1 - shift, unit="D")
    given = pd.DataFrame({"user_id": user, "campaign": "recall", "arm": arm, "assigned_at": START, "x": x})
    given["second_contact_at"] = second.where(contact > 0)
    given = given.assign(**columns)
    # a campaign has a control; it is no part of the comparison
    none = pd.DataFrame({"user_id": [-1, -2], "campaign": "recall", "arm": "holdout", "assigned_at": START, "x": 0.0})
    extra = pd.DataFrame({"user_id": [-1, -2], "registered_at": "2024-01-01", "x": 0.0})
    log = ActivityLog(
        back.assign(kind="login"),
        pd.concat([users, extra]),
        observed_from="2024-01-01",
        observed_until=until,
    )
    return log, pd.concat([given, none], ignore_index=True)


@pytest.fixture(scope="module")
def chosen():
    time, returned, contact, chance = world(6_000, np.random.default_rng(8))
    x = (chance[:, DAY - 1] > 0.5).astype(float)
    return (time, returned, contact, x), tables(time, returned, contact, x=x)


@pytest.fixture(scope="module")
def found(chosen):
    _, (log, given) = chosen
    return escalation_effect(given, log, day=DAY, covariates=["x"], bootstrap=100, seed=1)


def test_it_is_the_formula_on_the_rows(chosen, found):
    (time, returned, contact, x), _ = chosen
    chance = contact_chance(time, contact, {"x": x}, day=DAY, horizon=DAYS).by_day()
    expected = policy_risks(time, returned, contact, chance, [None, DAY])
    np.testing.assert_allclose(found.table["returned"][:2], expected[:, -1], rtol=1e-9)
    np.testing.assert_allclose(found.curves["returned"], expected.ravel(), rtol=1e-9)
    assert found.difference == pytest.approx(expected[1, -1] - expected[0, -1])
    assert (found.n_users, found.method) == (6_000, "clone-censor-weight")


def test_the_truth_is_near_and_the_naive_difference_is_not(found):
    without, second = truth()
    assert abs(found.difference - (second - without)) < 4 * found.std_error
    assert 0.005 < found.std_error < 0.03
    contacted, never = found.as_treated["returned"]
    assert abs(contacted - never - (second - without)) > 0.05


def test_without_the_covariate_it_is_biased(chosen, found):
    _, (log, given) = chosen
    blind = escalation_effect(given, log, day=DAY, covariates=[], bootstrap=50)
    without, second = truth()
    assert abs(blind.difference - (second - without)) > abs(found.difference - (second - without))
    assert "chance, and by chance" in blind.notes[0]


def test_contacts_after_the_activity_of_their_day_count_from_the_next_day_on(chosen, found):
    """The same contacts, written down as on the evening before."""
    (time, returned, contact, x), _ = chosen
    log, given = tables(time, returned, contact, x=x, shift=1)
    late = escalation_effect(given, log, day=DAY - 1, covariates=["x"], contacts="after", bootstrap=50)
    assert late.difference == pytest.approx(found.difference)


def test_resamples_have_a_seed(chosen, found):
    _, (log, given) = chosen
    again = escalation_effect(given, log, day=DAY, covariates=["x"], bootstrap=100, seed=1)
    assert again.std_error == found.std_error
    assert str(again) == str(found)


def test_a_sequence_that_was_drawn_is_compared_as_drawn():
    rng = np.random.default_rng(9)
    arm = np.where(rng.random(2_000) < 0.5, "push", "push then sms")
    returned = rng.random(2_000) < np.where(arm == "push", 0.2, 0.3)
    time = np.where(returned, rng.integers(1, DAYS + 1, 2_000), DAYS)
    contact = np.where((arm != "push") & (time >= DAY), DAY, 0)
    log, given = tables(time, returned, contact, x=0.0, arm=arm)
    found = escalation_effect(given, log, day=DAY, randomised=("push", "push then sms"))
    shares = [returned[arm == each].mean() for each in ("push", "push then sms")]
    counts = [(arm == each).sum() for each in ("push", "push then sms")]
    np.testing.assert_allclose(found.table["returned"][:2], shares, rtol=1e-12)
    error = np.sqrt(sum(p * (1 - p) / n for p, n in zip(shares, counts, strict=True)))
    assert found.std_error == pytest.approx(error, rel=1e-9)
    assert (found.method, found.bootstrap) == ("randomised sequence", 0)


def test_strata_of_a_drawn_sequence_are_compared_within():
    """Shares of the arms differ by stratum, and so do returns; the second contact does nothing."""
    rng = np.random.default_rng(10)
    stratum = np.where(rng.random(3_000) < 0.5, "a", "b")
    arm = np.where(rng.random(3_000) < np.where(stratum == "a", 0.9, 0.1), "push", "push then sms")
    returned = rng.random(3_000) < np.where(stratum == "a", 0.1, 0.6)
    time = np.where(returned, rng.integers(1, DAYS + 1, 3_000), DAYS)
    log, given = tables(time, returned, 0 * time, x=0.0, arm=arm, stratum=stratum)
    given["stratum"] = given["stratum"].fillna("a")
    found = escalation_effect(given, log, day=DAY, randomised=("push", "push then sms"))
    shares = [np.mean([returned[(arm == a) & (stratum == s)].mean() * (stratum == s).mean() * 2 for s in "ab"])
              for a in ("push", "push then sms")]  # fmt: skip
    np.testing.assert_allclose(found.table["returned"][:2], shares, rtol=1e-9)
    assert abs(found.difference) < 3 * found.std_error < 0.1
    last = found.curves[found.curves["day"] == DAYS]
    np.testing.assert_allclose(last["lower"], found.table["lower"][:2], rtol=1e-9)


def test_nobody_followed_far_enough():
    time, returned, contact, chance = world(2_000, np.random.default_rng(11))
    log, given = tables(time, returned, contact, x=chance[:, DAY - 1], until="2024-03-20")
    with pytest.raises(InputError, match=r"followed"):
        escalation_effect(given, log, day=DAY, covariates=["x"], bootstrap=50)


def test_what_says_the_same_is_left_out(chosen, found):
    """Nobody was active before: days since the last activity are the tenure."""
    _, (log, given) = chosen
    twice = escalation_effect(
        given.assign(y=2 * given["x"]), log, day=DAY, covariates=["x", "y"], bootstrap=100, seed=1
    )
    assert twice.difference == pytest.approx(found.difference, rel=1e-6)
    assert np.isfinite(escalation_effect(given, log, day=DAY, bootstrap=50).std_error)


def test_the_control_must_be_known(chosen):
    _, (log, given) = chosen
    renamed = given.replace({"arm": {"holdout": "none"}})
    with pytest.raises(InputError, match=r"There is no control arm 'holdout'.*'none', 'push'"):
        escalation_effect(renamed, log, day=DAY)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"day": 1}, r"from 2 to the horizon \(30;.*it is 1"),
        ({"day": 31}, r"it is 31"),
        ({"day": DAY, "contacts": "noon"}, r"contacts is 'before' or 'after'"),
        ({"day": DAY, "arms": "psh"}, r"no arm 'psh'.*push"),
        ({"day": DAY, "campaign": "recal"}, r"no campaign 'recal'"),
        ({"day": DAY, "bootstrap": 3}, r"bootstrap is a whole number, 50 or more"),
        ({"day": 20, "covariates": ["x"]}, r"Nobody of the .* silent on day 20 was contacted again"),
        ({"day": DAY, "randomised": ("push", "push")}, r"pair of two arms"),
    ],
)
def test_bad_input(chosen, settings, message):
    _, (log, given) = chosen
    with pytest.raises(InputError, match=message):
        escalation_effect(given, log, **settings)


def test_no_second_contact_at_all(chosen):
    _, (log, given) = chosen
    with pytest.raises(InputError, match=r"nobody has a second_contact_at"):
        escalation_effect(given.drop(columns="second_contact_at"), log, day=DAY)


def test_a_rule_without_exception_is_refused(chosen):
    (time, returned, _, x), _ = chosen
    log, given = tables(time, returned, np.where(time >= DAY, DAY, 0), x=x)
    with pytest.raises(InputError, match=r"Everybody .* rule without exception"):
        escalation_effect(given, log, day=DAY, covariates=["x"])
