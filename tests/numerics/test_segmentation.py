"""Segmentations against all of them, and the counts that they are made from."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnsurv.numerics.change_days import day_rows, dispersions, resampled_tables
from churnsurv.numerics.segmentation import change_quantile, segment_costs, segmentations


def likelihood(events, at_risk, begins):
    """Binomial log-likelihood of segments that begin at these positions, term by term."""
    total = 0.0
    for a, b in pairwise((*begins, len(events))):
        p = sum(events[a:b]) / sum(at_risk[a:b])
        for d, n in zip(events[a:b], at_risk[a:b], strict=True):
            total += (d * np.log(p) if d else 0.0) + ((n - d) * np.log1p(-p) if n > d else 0.0)
    return total


def every(events, at_risk, k):
    return {
        (0, *inside): likelihood(events, at_risk, (0, *inside)) for inside in combinations(range(1, len(events)), k - 1)
    }


days = st.lists(st.tuples(st.integers(1, 40), st.floats(0, 1)), min_size=2, max_size=8)


@settings(max_examples=60, deadline=None)
@given(days)
def test_the_best_of_all_segmentations_and_every_profile(table):
    at_risk = np.array([n for n, _ in table], dtype=float)
    events = np.array([round(n * share) for n, share in table], dtype=float)
    most = min(4, len(table))
    found = segmentations(events, at_risk, most=most)
    for k in range(1, most + 1):
        ways = every(events, at_risk, k)
        best = max(ways.values())
        assert found.log_likelihood[k - 1] == pytest.approx(best, abs=1e-8)
        assert ways[tuple(found.starts[k - 1].tolist())] == pytest.approx(best, abs=1e-8)
        for change in range(k - 1):
            profile = found.profile(k, change)
            for day in range(len(table)):
                there = [value for begins, value in ways.items() if begins[change + 1] == day]
                assert profile[day] == pytest.approx(max(there), abs=1e-8) if there else np.isneginf(profile[day])


def test_worked_by_hand():
    """10 of 100, then 40 of 100: apart 10 log .1 + 90 log .9 + 40 log .4 + 60 log .6, together 50 log .25 + ..."""
    found = segmentations(np.array([10.0, 40]), np.array([100.0, 100]), most=2)
    apart = 10 * np.log(0.1) + 90 * np.log(0.9) + 40 * np.log(0.4) + 60 * np.log(0.6)
    together = 50 * np.log(0.25) + 150 * np.log(0.75)
    np.testing.assert_allclose(found.log_likelihood, [together, apart], rtol=1e-12)
    price = np.log(50)
    np.testing.assert_allclose(found.criterion(50.0), [-2 * together + price, -2 * apart + 3 * price], rtol=1e-12)
    assert found.chosen(50.0) == 2
    assert found.chosen(50.0, dispersion=50.0) == 1


def test_costs_are_exact_for_none_and_all():
    cost = segment_costs(np.array([0.0, 5.0]), np.array([7.0, 5.0]))
    assert cost[0, 0] == cost[1, 1] == 0.0
    assert np.isneginf(cost[1, 0])


def test_the_quantile_of_a_change_day():
    x = change_quantile(0.95)
    assert (1 - np.exp(-x / 2)) ** 2 == pytest.approx(0.95, rel=1e-12)


def test_a_change_that_is_there_is_found_on_its_day():
    rng = np.random.default_rng(0)
    at_risk = np.full(100, 5000.0)
    events = rng.binomial(5000, np.repeat([0.02, 0.01], 50)).astype(float)
    found = segmentations(events, at_risk, most=5)
    assert found.chosen(float(events.sum())) == 2
    assert found.starts[1].tolist() == [0, 50]


class TestDays:
    def test_counts_of_days(self):
        duration, event = np.array([3, 5, 5, 9, 2]), np.array([1, 1, 0, 1, 1], dtype=bool)
        entry = np.array([0, 3, 0, 4, 0])
        table = day_rows(duration, event, entry, first=3, last=6).table()
        assert table.at_risk.tolist() == [2, 2, 3, 1]
        assert table.events.tolist() == [1, 0, 1, 0]

    def test_frequencies_are_repeated_rows(self):
        rng = np.random.default_rng(1)
        duration, event, times = rng.integers(1, 20, 50), rng.random(50) < 0.5, rng.integers(1, 4, 50)
        once = day_rows(duration, event, None, first=2, last=15, frequency=times.astype(float)).table()
        twice = day_rows(np.repeat(duration, times), np.repeat(event, times), None, first=2, last=15).table()
        np.testing.assert_array_equal(once.at_risk, twice.at_risk)
        np.testing.assert_array_equal(once.events, twice.events)

    def test_dispersion_is_one_of_independent_rows_and_two_of_doubled_ones(self):
        rng = np.random.default_rng(2)
        life = rng.geometric(0.05, 20_000)
        duration, event = np.minimum(life, 60), life <= 60
        starts, hazards = np.array([0, 20]), np.array([0.05, 0.05])
        alone = day_rows(duration, event, None, first=1, last=60, cluster=np.arange(20_000), n_clusters=20_000)
        np.testing.assert_allclose(dispersions(alone, starts, hazards), 1.0, atol=0.04)
        twice = day_rows(
            np.repeat(duration, 2), np.repeat(event, 2), None, first=1, last=60,
            cluster=np.repeat(np.arange(20_000), 2), n_clusters=20_000,
        )  # fmt: skip
        np.testing.assert_allclose(dispersions(twice, starts, hazards), 2.0, atol=0.08)

    @pytest.mark.parametrize("clustered", [False, True])
    def test_resamples_have_the_mean_of_the_table(self, clustered):
        rng = np.random.default_rng(3)
        duration, event, entry = rng.integers(5, 20, 300), rng.random(300) < 0.5, rng.integers(0, 5, 300)
        clusters = {"cluster": np.arange(300) // 2, "n_clusters": 150} if clustered else {}
        rows = day_rows(duration, event, entry, first=1, last=19, **clusters)
        table = rows.table()
        drawn = resampled_tables(rows, 300, rng)
        mean = np.mean([each.at_risk for each in drawn], axis=0)
        np.testing.assert_allclose(mean, table.at_risk, atol=4.0)
        assert all((each.events <= each.at_risk).all() for each in drawn)
