"""Harrell's C against counting every pair, worked by hand, and by its properties."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnsurv.errors import InputError
from churnsurv.numerics import inversions as module
from churnsurv.numerics.concordance import concordance
from churnsurv.numerics.inversions import inversions, weighted_inversions
from churnsurv.numerics.risk_sets import risk_sets


def pairs_by_row(duration, event, score, entry=None, stratum=None, weights=None):
    """Concordant, discordant and tied pairs of each row by looking at all of them; tied times, and tied in both."""
    n = len(duration)
    entry = [-1] * n if entry is None else entry
    stratum = [0] * n if stratum is None else stratum
    w = [1] * n if weights is None else weights
    by_row = [[0, 0, 0] for _ in range(n)]
    tied_time = tied_both = 0
    for i in range(n):
        if not event[i] or entry[i] >= duration[i]:
            continue
        for j in range(n):
            if j == i or stratum[j] != stratum[i] or not entry[j] < duration[i] <= duration[j]:
                continue
            if duration[j] == duration[i] and event[j]:
                tied_both += i < j and score[i] == score[j]
                tied_time += i < j and score[i] != score[j]
                continue
            kind = 0 if score[i] > score[j] else 1 if score[i] < score[j] else 2
            by_row[i][kind] += w[i] * w[j]
            by_row[j][kind] += w[i] * w[j]
    return by_row, int(tied_time), int(tied_both)


def c_of(by_row) -> Fraction:
    concordant, discordant, tied = (sum(map(Fraction, column)) for column in zip(*by_row, strict=True))
    return (concordant + tied / 2) / (concordant + discordant + tied)


def sets_of(duration, event, entry=None, stratum=None):
    n_strata = 1 if stratum is None else int(max(stratum)) + 1
    return risk_sets(duration, event, entry=entry, stratum=stratum, n_strata=n_strata)


@st.composite
def tables(draw):
    """Rows with few or many distinct days and scores, with and without late entry, strata and clusters."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(1, 60))
    days, scores = draw(st.sampled_from([4, 20, 1000])), draw(st.sampled_from([1, 3, 12, 10_000]))
    scale = draw(st.sampled_from([1, 0.37]))
    duration = rng.integers(0, days, n) * scale
    late = draw(st.booleans())
    entry = np.minimum(rng.integers(0, days, n) * scale, duration) if late else None
    stratum = rng.integers(0, 4, n) if draw(st.booleans()) else None
    event = rng.random(n) < draw(st.sampled_from([0.1, 0.5, 1.0]))
    score = rng.integers(-scores, scores, n) * draw(st.sampled_from([1, -0.1, 1e300]))
    return duration, event, score, entry, stratum, rng.integers(0, 5, n)


@settings(max_examples=300, deadline=None)
@given(tables())
def test_equals_counting_every_pair(table) -> None:
    duration, event, score, entry, stratum, cluster = table
    by_row, tied_time, tied_both = pairs_by_row(duration, event, score, entry, stratum)
    sets = sets_of(duration, event, entry, stratum)
    concordant, discordant, tied = (sum(column) // 2 for column in zip(*by_row, strict=True))
    if concordant + discordant + tied == 0:
        with pytest.raises(InputError, match="no comparable pair"):
            concordance(sets, score)
        return
    found = concordance(sets, score)
    assert (found.concordant, found.discordant, found.tied_score) == (concordant, discordant, tied)
    assert (found.tied_time, found.tied_both) == (tied_time, tied_both)
    c = c_of(by_row)
    assert found.estimate == float(c)
    total = concordant + discordant + tied
    influence = np.array([float((row[0] + Fraction(row[2], 2) - c * sum(row)) / total) for row in by_row])
    np.testing.assert_allclose(found.influence, influence, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(found.std_error, np.sqrt((influence**2).sum()), rtol=1e-10, atol=1e-13)
    clustered = concordance(sets, score, cluster=cluster, n_clusters=5).std_error
    by_cluster = np.bincount(cluster, influence)
    np.testing.assert_allclose(clustered, np.sqrt((by_cluster**2).sum()), rtol=1e-10, atol=1e-13)


def test_by_hand() -> None:
    # events on days 2 (score 5), 4 (3), 4 (3), 6 (4); censored on days 4 (3), 5 (6) and 9 (1)
    duration = np.array([2, 4, 4, 6, 4, 5, 9])
    event = np.array([1, 1, 1, 1, 0, 0, 0], dtype=bool)
    score = np.array([5, 3, 3, 4, 3, 6, 1])
    found = concordance(sets_of(duration, event), score)
    # day 2: five lower, one higher; day 4, twice: higher than 1, lower than 4 and 6, equal to 3; day 6: higher than 1
    assert (found.concordant, found.discordant, found.tied_score) == (5 + 2 + 1, 1 + 4, 2)
    assert (found.tied_time, found.tied_both) == (0, 1)
    assert found.estimate == 9 / 15
    # (c + t/2 - C m) / 15 with C = 3/5: row 0 has 5 of 6; rows 1, 2 have 1 + 1 + 1/2 of 5; row 3 has 1 + 1 of 4;
    # row 4 has 1 + 2/2 of 3; row 5 has 0 of 3; row 6 has all 4 it takes part in
    hundredths = [(5, 6), (2.5, 5), (2.5, 5), (2, 4), (2, 3), (0, 3), (4, 4)]
    influence = [(c - 0.6 * m) / 15 for c, m in hundredths]
    np.testing.assert_allclose(found.influence, influence, rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(found.std_error**2, sum(x**2 for x in influence), rtol=1e-10)


def test_late_entry_by_hand() -> None:
    # on day 4 the third row is not at risk yet (it enters on that day), on day 6 it is
    duration, event = np.array([4, 6, 9]), np.array([True, True, False])
    score, entry = np.array([2.0, 3.0, 9.0]), np.array([0, 0, 4])
    found = concordance(sets_of(duration, event, entry), score)
    assert (found.concordant, found.discordant, found.tied_score) == (0, 2, 0)
    assert concordance(sets_of(duration, event), score).discordant == 3


def test_the_influence_is_the_derivative_in_the_weight_of_a_row() -> None:
    rng = np.random.default_rng(3)
    n = 25
    entry = rng.integers(0, 5, n)
    duration, event = entry + rng.integers(1, 8, n), rng.random(n) < 0.6
    score, stratum = rng.integers(0, 6, n), rng.integers(0, 2, n)
    found = concordance(sets_of(duration, event, entry, stratum), score)
    h = Fraction(1, 10**9)
    for k in range(n):
        up, down = (
            c_of(pairs_by_row(duration, event, score, entry, stratum, [1 + s * h * (i == k) for i in range(n)])[0])
            for s in (1, -1)
        )
        np.testing.assert_allclose(found.influence[k], float((up - down) / (2 * h)), rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(found.influence.sum(), 0, atol=1e-15)


@settings(max_examples=100, deadline=None)
@given(tables(), st.integers(0, 2**32 - 1))
def test_properties(table, seed) -> None:
    duration, event, score, entry, stratum, _ = table
    try:
        found = concordance(sets_of(duration, event, entry, stratum), score)
    except InputError:
        return
    sets = sets_of(duration, event, entry, stratum)
    # only the order of the scores matters
    ranks = np.unique(score, return_inverse=True)[1]
    large = ranks.astype(np.uint64) + np.uint64(2**63)
    for same in (ranks, ranks.astype(np.uint8), np.exp(ranks / 100.0), ranks - 2**62, large):
        again = concordance(sets, same)
        assert (again.estimate, again.std_error) == (found.estimate, found.std_error)
    turned = concordance(sets, -score)
    assert (turned.concordant, turned.discordant) == (found.discordant, found.concordant)
    assert (turned.tied_score, turned.tied_time, turned.tied_both) == (
        found.tied_score, found.tied_time, found.tied_both,
    )  # fmt: skip
    np.testing.assert_allclose(turned.estimate, 1 - found.estimate, rtol=1e-14, atol=1e-16)
    np.testing.assert_allclose(turned.std_error, found.std_error, rtol=1e-12, atol=1e-16)
    # the order of the rows does not
    p = np.random.default_rng(seed).permutation(len(score))
    other = concordance(
        sets_of(duration[p], event[p], None if entry is None else entry[p], None if stratum is None else stratum[p]),
        score[p],
    )
    assert other.estimate == found.estimate
    np.testing.assert_allclose(other.influence, found.influence[p], rtol=1e-12, atol=1e-16)


@settings(max_examples=60, deadline=None)
@given(tables())
def test_splitting_a_row_changes_nothing(table) -> None:
    duration, event, score, entry, stratum, _ = table
    entry = np.full(len(score), -1.0) if entry is None else entry
    stratum = np.zeros(len(score), int) if stratum is None else stratum
    try:
        found = concordance(sets_of(duration, event, entry, stratum), score)
    except InputError:
        return
    day = float(np.median(duration))
    cut = (entry < day) & (day < duration)
    parts = concordance(
        sets_of(
            np.concatenate([np.where(cut, day, duration), duration[cut]]),
            np.concatenate([event & ~cut, event[cut]]),
            np.concatenate([entry, np.full(cut.sum(), day)]),
            np.concatenate([stratum, stratum[cut]]),
        ),
        np.concatenate([score, score[cut]]),
        cluster=np.concatenate([np.arange(len(score)), np.flatnonzero(cut)]),
        n_clusters=len(score),
    )
    assert parts.estimate == found.estimate
    np.testing.assert_allclose(parts.std_error, found.std_error, rtol=1e-10, atol=1e-15)


def inversions_by_looking(place, red, *, red_is_blue):
    counts = np.zeros(len(place), int)
    for q in range(len(place)):
        for p in range(q):
            if place[p] > place[q] and red[q] and (red_is_blue or not red[p]):
                counts[p] += 1
                counts[q] += 1
    return counts


def test_inversions_of_all_small_permutations() -> None:
    for n in range(1, 6):
        for place in permutations(range(n)):
            for colours in range(2**n):
                red = np.array([bool(colours >> k & 1) for k in range(n)])
                for both in (True, False):
                    expected = inversions_by_looking(place, red, red_is_blue=both)
                    assert inversions(np.array(place), red, red_is_blue=both).tolist() == expected.tolist()


@pytest.mark.parametrize("largest_base", [2, 3, 5, 16, 255])
@pytest.mark.parametrize("n", [7, 64, 255, 256, 300, 1300])
def test_inversions_at_every_depth(n: int, largest_base: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # small bases make many levels of small blocks: what else only happens with many millions of rows
    monkeypatch.setattr(module, "_LARGEST_BASE", largest_base)
    monkeypatch.setattr(module, "_BLOCKS", 3)
    rng = np.random.default_rng(n)
    place, red = rng.permutation(n), rng.random(n) < 0.4
    order = np.arange(n)
    wrong = (place[:, None] > place) & (order[:, None] < order) & red
    for both in (True, False):
        counted = wrong if both else wrong & ~red[:, None]
        assert inversions(place, red, red_is_blue=both).tolist() == (counted.sum(0) + counted.sum(1)).tolist()


def test_inversions_of_the_reverse_order_fill_every_count() -> None:
    # 255 in a block is the most that a byte has to hold
    n = 255**2
    found = inversions(np.arange(n)[::-1], np.ones(n, bool))
    assert (found == n - 1).all()


def test_negative_zero_is_zero_and_infinities_are_ordered() -> None:
    sets = sets_of(np.array([1, 2, 3, 4]), np.ones(4, bool))
    assert concordance(sets, np.array([0.0, -0.0, 0.0, -0.0])).tied_score == 6
    assert concordance(sets, np.array([np.inf, 1.0, -1.0, -np.inf])).concordant == 6


def test_large_integers_keep_all_their_digits() -> None:
    sets = sets_of(np.array([1, 2]), np.array([True, False]))
    assert concordance(sets, np.array([2**60 + 1, 2**60])).concordant == 1


@pytest.mark.parametrize("event", [[True], [False]])
def test_one_row_has_no_pair(event) -> None:
    with pytest.raises(InputError, match="at least two rows"):
        concordance(sets_of(np.array([3]), np.array(event)), np.array([1.0]))


def test_churn_on_one_day_only_is_no_pair() -> None:
    with pytest.raises(InputError, match="no comparable pair"):
        concordance(sets_of(np.array([3, 3, 3]), np.ones(3, bool)), np.array([1.0, 2.0, 3.0]))


@settings(max_examples=100, deadline=None)
@given(tables(), st.integers(0, 2**32 - 1))
def test_weights_equal_weighing_every_pair(table, seed) -> None:
    duration, event, score, entry, stratum, cluster = table
    rng = np.random.default_rng(seed)
    n = len(duration)
    w = rng.integers(1, 5, n)
    by_row, _, _ = pairs_by_row(duration, event, score, entry, stratum, [Fraction(int(x)) for x in w])
    if sum(map(sum, by_row)) == 0:
        with pytest.raises(InputError, match="no comparable pair"):
            concordance(sets_of(duration, event, entry, stratum), score, weights=w.astype(float))
        return
    found = concordance(sets_of(duration, event, entry, stratum), score, weights=w.astype(float))
    np.testing.assert_allclose(found.estimate, float(c_of(by_row)), rtol=1e-12, atol=1e-14)
    # a frequency is as many rows
    again = np.repeat(np.arange(n), w)
    keys = (entry, stratum, cluster)
    entries, strata, clusters = (None if key is None else key[again] for key in keys)
    many = concordance(sets_of(duration[again], event[again], entries, strata), score[again])
    n_strata = 1 if stratum is None else int(max(stratum)) + 1
    sets = risk_sets(duration, event, entry=entry, stratum=stratum, n_strata=n_strata, frequency=w)
    few = concordance(sets, score, weights=w.astype(float), frequency=True)
    for name in ("concordant", "discordant", "tied_score", "tied_time", "tied_both"):
        assert getattr(few, name) == getattr(many, name), name
    np.testing.assert_allclose([few.estimate, few.std_error], [many.estimate, many.std_error], rtol=1e-11, atol=1e-14)
    clustered = concordance(
        sets, score, weights=w.astype(float), frequency=True, cluster=cluster, n_clusters=5
    ).std_error
    expected = concordance(
        sets_of(duration[again], event[again], entries, strata), score[again], cluster=clusters, n_clusters=5
    ).std_error
    np.testing.assert_allclose(clustered, expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 300, 5000])
def test_weighted_inversions(n: int) -> None:
    rng = np.random.default_rng(n)
    place, red, blue = rng.permutation(n), rng.random(n) * (rng.random(n) < 0.5), rng.random(n)
    order = np.arange(n)
    wrong = (place > place[:, None]) & (order < order[:, None])
    found = weighted_inversions(place, red, blue)
    np.testing.assert_allclose(found.as_red, wrong @ blue, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(found.as_blue, wrong.T @ red, rtol=1e-11, atol=1e-12)
