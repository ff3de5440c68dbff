"""Gray's test: by hand, against a covariance by simulation, and by what must hold."""

import numpy as np
import pytest

from churnsurv.errors import InputError
from churnsurv.numerics.competing import CauseRows, cause_counts
from churnsurv.numerics.gray import gray_test


def counts_of(duration, outcome, group, n_groups=2, n_causes=2, entry=None):
    return cause_counts(CauseRows(duration, outcome, entry), n_causes=n_causes, group=group, n_groups=n_groups)


def test_score_by_hand():
    """R = Y (1 - F) / S by group: on day 1 5 and 5; on day 2 group a has 3 (4/5) / (3/5) = 4, b 4 / (4/5) = 5."""
    duration = np.array([1, 1, 2, 3, 4, 1, 2, 3, 3, 4])
    outcome = np.array([1, 2, 1, 0, 2, 2, 1, 1, 0, 1])
    group = np.repeat([0, 1], 5)
    found = gray_test([counts_of(duration, outcome, group)], cause=0)
    # day 3: a has Y 2, S 2/5, F 2/5: R = 2 (3/5) / (2/5) = 3; b has Y 3, S 3/5, F 1/5: R = 3 (4/5) / (3/5) = 4
    # day 4: a has Y 1, S 2/5, F 2/5: R = 3/2; b has Y 1, S 2/5, F 2/5: R = 3/2
    observed = 2
    expected = 1 * 5 / 10 + 2 * 4 / 9 + 1 * 3 / 7 + 1 * 1.5 / 3
    assert found.score[0] == pytest.approx(observed - expected, rel=1e-13)
    assert found.score.sum() == pytest.approx(0, abs=1e-13)
    assert found.df == 1


def test_with_one_cause_the_score_is_that_of_the_logrank_test():
    rng = np.random.default_rng(0)
    duration, outcome, group = rng.integers(1, 30, 300), rng.integers(0, 2, 300), rng.integers(0, 3, 300)
    gray = gray_test([counts_of(duration, outcome, group, 3, 1)], cause=0)
    score = np.zeros(3)
    for day in range(1, 30):
        at_risk = np.array([((duration >= day) & (group == g)).sum() for g in range(3)])
        events = np.array([((duration == day) & (outcome == 1) & (group == g)).sum() for g in range(3)])
        score += events - events.sum() * at_risk / max(at_risk.sum(), 1)
    np.testing.assert_allclose(gray.score, score, rtol=1e-10)


@pytest.mark.parametrize("late", [False, True])
def test_the_covariance_is_that_of_the_scores_in_repeated_samples(late):
    rng = np.random.default_rng(1)
    scores, covariances = [], []
    for _ in range(600):
        life = rng.geometric(0.08, 150)
        end = rng.integers(5, 40, 150)
        entry = np.where(rng.random(150) < 0.4, rng.integers(1, 8, 150), 0) if late else None
        duration, outcome = np.minimum(life, end), np.where(life <= end, rng.integers(1, 3, 150), 0)
        group = rng.integers(0, 3, 150)
        test = gray_test([counts_of(duration, outcome, group, 3, 2, entry)], cause=0)
        scores.append(test.score)
        covariances.append(test.covariance)
    np.testing.assert_allclose(np.mean(covariances, axis=0), np.cov(np.array(scores).T), rtol=0.2, atol=0.15)


def test_strata_add_up_and_empty_groups_do_not_count():
    rng = np.random.default_rng(2)
    parts = [counts_of(rng.integers(1, 9, 80), rng.integers(0, 3, 80), rng.integers(0, 2, 80)) for _ in range(2)]
    both = gray_test(parts, cause=1, rho=0.5)
    alone = [gray_test([part], cause=1, rho=0.5) for part in parts]
    np.testing.assert_allclose(both.score, alone[0].score + alone[1].score)
    np.testing.assert_allclose(both.covariance, alone[0].covariance + alone[1].covariance)
    three = counts_of(rng.integers(1, 9, 80), rng.integers(0, 3, 80), rng.integers(0, 2, 80), 3)
    assert gray_test([three], cause=0).df == 1


def test_labels_of_groups_do_not_matter():
    rng = np.random.default_rng(3)
    duration, outcome, group = rng.integers(1, 20, 200), rng.integers(0, 3, 200), rng.integers(0, 4, 200)
    one = gray_test([counts_of(duration, outcome, group, 4)], cause=0)
    other = gray_test([counts_of(duration, outcome, 3 - group, 4)], cause=0)
    assert one.statistic == pytest.approx(other.statistic, rel=1e-10)
    assert one.df == other.df == 3


def test_nothing_to_compare():
    never = counts_of(np.array([1, 2, 3, 4]), np.array([2, 0, 2, 0]), np.array([0, 0, 1, 1]))
    test = gray_test([never], cause=0)
    assert test.df == 0
    assert np.isnan(test.p_value)
    with pytest.raises(InputError, match="rho must be a finite number"):
        gray_test([never], cause=0, rho=np.inf)
