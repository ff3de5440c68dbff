"""Effects on those whom a campaign reached: by hand, with clusters, in drawn worlds, and what is said with them."""

import numpy as np
import pytest
from scipy.stats import binom

from churnsurv.errors import InputError
from churnsurv.recall.complier import complier_rows
from churnsurv.recall.lift_arms import campaign_arms
from tests.recall.campaign import made_rows

HORIZON = 10


def campaign(n, rng, *, share=0.4, gain=0.25, contaminated=0.0, cluster=None):
    """A part of users can be reached, these return more often anyway; only they gain, and only in the arm."""
    reachable = rng.random(n) < share
    arm = rng.integers(0, 2, n)
    reached = reachable & ((arm == 1) | (rng.random(n) < contaminated))
    returned = rng.random(n) < np.where(reachable, 0.4, 0.1) + gain * reached
    time = np.where(returned, rng.integers(1, HORIZON + 1, n), HORIZON + 1)
    rows = made_rows(time=time, returned=returned, followed=np.full(n, HORIZON), arm=arm, horizon=HORIZON,
                     cluster=cluster, given={"delivered_at", "opened_at"})  # fmt: skip
    day = np.where(reached, 1, 0)
    object.__setattr__(rows, "delivered", day)
    object.__setattr__(rows, "opened", day)
    return rows


def told(rows, exposure="delivered", *, clustered=False, level=0.95):
    found = campaign_arms(rows, control="holdout", sums={}, covariates=(), clustered=clustered, name="spring")
    return complier_rows(rows, found, campaign="spring", exposure=exposure, level=level)


def row_of(rows, outcome="return_probability", kind="reached because of the arm", **settings):
    return next(row for row in told(rows, **settings)[0] if (row["outcome"], row["kind"]) == (outcome, kind))


def test_by_hand():
    """One effect over the other; and the as-treated difference beside it."""
    rows = campaign(2_000, np.random.default_rng(1))
    arm, reached = rows.arm == 1, rows.delivered > 0
    y = rows.returned[arm].mean() - rows.returned[~arm].mean()
    d = reached[arm].mean()
    found = row_of(rows)
    assert found["estimate"] == pytest.approx(1000 * y / d)
    assert (found["share_arm"], found["share_control"]) == (pytest.approx(d), 0.0)
    # two-stage least squares of the outcome on the exposure has the same standard error
    e = rows.returned - rows.returned[~arm].mean() - y / d * reached
    variance = sum((e[group] - e[group].mean()).var() / group.sum() for group in (arm, ~arm)) / d**2
    assert found["std_error"] == pytest.approx(1000 * np.sqrt(variance), rel=1e-9)
    naive = row_of(rows, kind="as treated")
    expected = rows.returned[arm & reached].mean() - rows.returned[arm & ~reached].mean()
    assert naive["estimate"] == pytest.approx(1000 * expected)
    assert naive["lower"] < naive["estimate"] < naive["upper"]
    assert naive["estimate"] > 1.5 * found["estimate"]
    days = row_of(rows, outcome="days_to_return")
    area = np.where(rows.returned, rows.time, HORIZON)
    assert days["estimate"] == pytest.approx((area[arm].mean() - area[~arm].mean()) / d)


def test_it_covers_in_drawn_worlds():
    inside = 0
    for seed in range(150):
        found = row_of(campaign(600, np.random.default_rng(seed), share=0.2, contaminated=0.1))
        inside += found["lower"] <= 250 <= found["upper"]
    assert binom.ppf(1e-5, 150, 0.95) <= inside


def test_everybody_reached_is_the_effect_of_the_arm():
    rows = campaign(800, np.random.default_rng(2), share=1.0)
    arm = rows.arm == 1
    found = row_of(rows)
    assert found["estimate"] == pytest.approx(1000 * (rows.returned[arm].mean() - rows.returned[~arm].mean()))


def test_clusters_widen():
    rng = np.random.default_rng(3)
    one = campaign(500, rng)
    thrice = np.repeat(np.arange(500), 3)
    made = made_rows(time=np.where(one.returned, one.time, HORIZON + 1)[thrice], returned=np.ones(1_500, bool),
                     followed=np.full(1_500, HORIZON), arm=one.arm[thrice], horizon=HORIZON, cluster=thrice,
                     given={"delivered_at"})  # fmt: skip
    object.__setattr__(made, "delivered", one.delivered[thrice])
    a, b = row_of(one), row_of(made, clustered=True)
    assert (b["estimate"], b["std_error"]) == (pytest.approx(a["estimate"]), pytest.approx(a["std_error"]))


def test_who_may_still_be_reached_is_not_counted_as_never_reached():
    """Half of the arm opens, on any of ten days; many are not followed for long. Effect of .2 on those who open."""
    rng, shares, estimates = np.random.default_rng(8), [], []
    for _ in range(40):
        n = 1_500
        opens, arm = rng.random(n) < 0.5, rng.integers(0, 2, n)
        day = rng.integers(1, HORIZON + 1, n)
        returned = rng.random(n) < 0.1 + 0.2 * opens * arm
        time = np.where(returned, rng.integers(1, HORIZON + 1, n), HORIZON + 1)
        followed = np.where(rng.random(n) < 0.6, rng.integers(1, HORIZON + 1, n), HORIZON)
        rows = made_rows(time=time, returned=returned, followed=followed, arm=arm, horizon=HORIZON, given={"opened_at"})
        object.__setattr__(rows, "opened", np.where(opens & (arm == 1) & (day <= followed), day, 0))
        found = row_of(rows, exposure="opened")
        shares.append(found["share_arm"])
        estimates.append(found["estimate"])
    assert abs(np.mean(shares) - 0.5) < 4 * np.std(shares) / np.sqrt(40)
    assert abs(np.mean(estimates) - 200) < 4 * np.std(estimates) / np.sqrt(40)


def test_few_reached_leave_no_end():
    found = row_of(campaign(100, np.random.default_rng(4), share=0.02))
    assert np.isinf(found["upper"])
    assert np.isinf(found["lower"])


def test_what_is_said():
    rows = campaign(300, np.random.default_rng(5))
    notes = told(rows)[1]
    assert "through the contact alone" in notes[0]
    assert "no effect of the contact" in notes[1]
    assert len(notes) == 2
    assert "seen and not opened still acts" in told(rows, exposure="opened")[1][2]
    nobody = campaign(300, np.random.default_rng(6), share=0.0)
    assert "no more users were reached than in the control" in told(nobody)[1][2]
    assert np.isnan(row_of(nobody)["estimate"])


def test_bad_input():
    rows = campaign(300, np.random.default_rng(7))
    with pytest.raises(InputError, match=r"exposure is 'delivered' or 'opened'; it is 'seen'"):
        told(rows, exposure="seen")
    object.__setattr__(rows, "given", frozenset())
    with pytest.raises(InputError, match=r"needs delivered_at in the assignments"):
        told(rows)
