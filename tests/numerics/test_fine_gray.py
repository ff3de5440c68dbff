"""Fine and Gray's model: by hand, against the likelihood written with a matrix of weights, by what must hold."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnsurv.errors import ConvergenceError
from churnsurv.numerics.cox import CoxData, fit_cox
from churnsurv.numerics.design import Indicators, design
from churnsurv.numerics.fine_gray import (
    FineGrayData,
    crr_covariance,
    fine_gray_moments,
    fine_gray_residuals,
    fine_gray_state,
    fit_fine_gray,
    robust_covariance,
)
from churnsurv.numerics.risk_sets import risk_sets
from churnsurv.numerics.staying import staying


class Rows:
    """Random rows with heavy ties, late entry and strata."""

    def __init__(self, seed: int, *, n: int = 60, late: bool = True, n_strata: int = 2, weights: str | None = None):
        rng = np.random.default_rng(seed)
        self.x = np.round(rng.normal(size=(n, 2)), 2)
        self.duration = rng.integers(3, 14, n)
        self.entry = np.where(rng.random(n) < 0.4, rng.integers(0, 6, n), 0) if late else None
        if late:
            self.entry[: n // 4] = 0  # somebody of each stratum is there from the first day on
            self.duration[: n // 4] = np.maximum(self.duration[: n // 4], 9)
        self.outcome = rng.integers(0, 3, n)
        self.stratum = np.arange(n) % n_strata
        self.n_strata = n_strata
        self.users = rng.integers(1, 4, n).astype(float)
        self.drawn = np.round(rng.uniform(0.5, 3, n), 2)
        self.kind = weights

    @property
    def weights(self):
        return {"frequency": self.users, "sampling": self.drawn, None: None}[self.kind]

    def data(self, *, ties="efron", crr=False) -> FineGrayData:
        whole = self.users.astype(int) if self.kind == "frequency" else None
        sets = risk_sets(
            self.duration, self.outcome == 1, entry=self.entry, stratum=self.stratum, n_strata=self.n_strata,
            frequency=whole,
        )  # fmt: skip
        made = design(list(self.x.T), ["x1", "x2"], n_rows=len(self.duration))
        cox = CoxData(
            made, sets, ties,
            frequency=self.users if self.kind == "frequency" else None,
            sampling=self.drawn if self.kind == "sampling" else None,
        )  # fmt: skip
        stays = staying(
            sets, self.duration, self.outcome, entry=self.entry, stratum=self.stratum, weights=self.weights,
            events_first=not crr,
        )  # fmt: skip
        return FineGrayData.of(cox, stays)


def matrix_of_weights(rows: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weight of each row on each (stratum, day with events), from products over all days between; days and strata."""
    w = np.ones(len(rows.duration)) if rows.weights is None else rows.weights
    entry = np.full(len(w), -1) if rows.entry is None else rows.entry
    held, T, out, s = entry < rows.duration, rows.duration, rows.outcome, rows.stratum
    slots = sorted({(a, t) for a, t, k, h in zip(s, T, out, held, strict=True) if k == 1 and h})
    weight = np.zeros((len(w), len(slots)))
    for j, (a, t) in enumerate(slots):
        mine = held & (s == a)
        for i in np.flatnonzero(mine):
            if entry[i] < t <= T[i]:
                weight[i, j] = 1.0
            elif out[i] == 2 and T[i] < t:
                factor = 1.0
                for u in range(T[i], t):
                    censored = w[mine & (u == T) & (out == 0)].sum()
                    at_risk = w[mine & (entry < u) & ((u < T) | ((u == T) & (out == 0)))].sum()
                    entered = w[mine & (entry == u)].sum()
                    there = w[mine & (entry <= u) & (u < T)].sum()
                    factor *= (1 - censored / at_risk) if censored else 1.0
                    factor /= (1 - entered / there) if entered else 1.0
                weight[i, j] = factor
    days, strata = (np.array([slot[k] for slot in slots]) for k in (1, 0))
    return weight * w[:, None], days, strata


def log_likelihood(rows: Rows, beta: np.ndarray, ties: str) -> float:
    weight, days, strata = matrix_of_weights(rows)
    theta = np.exp(rows.x @ beta)
    entry = np.full(len(theta), -1) if rows.entry is None else rows.entry
    w = np.ones(len(theta)) if rows.weights is None else rows.weights
    total = 0.0
    for j, (t, a) in enumerate(zip(days, strata, strict=True)):
        tied = (rows.stratum == a) & (rows.duration == t) & (rows.outcome == 1) & (entry < rows.duration)
        S0, D0 = (weight[:, j] * theta).sum(), (w * theta)[tied].sum()
        d = w[tied].sum() if rows.kind == "frequency" else tied.sum()
        each = w[tied].sum() / d
        total += (w * (rows.x @ beta))[tied].sum()
        total -= each * sum(np.log(S0 - (k / d if ties == "efron" else 0) * D0) for k in range(round(d)))
    return total


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("weights", [None, "frequency", "sampling"])
@pytest.mark.parametrize("late", [False, True])
def test_the_likelihood_is_the_one_of_the_definition(ties, weights, late):
    rows = Rows(7, late=late, weights=weights)
    data = rows.data(ties=ties)
    scale, at = data.cox.design.scale, np.array([0.4, -0.7])
    found = fine_gray_state(data, at * scale).log_likelihood
    # the design is centred, which moves the likelihood of no row
    assert found == pytest.approx(log_likelihood(rows, at, ties), rel=1e-11)
    best = fit_fine_gray(data)
    for j in range(2):
        step = np.eye(2)[j] * 1e-5
        up, down = (log_likelihood(rows, best.coefficients + s * step, ties) for s in (1, -1))
        assert (up - down) / 2e-5 == pytest.approx(0, abs=2e-5)
        middle = log_likelihood(rows, best.coefficients, ties)
        step *= 30
        up, down = (log_likelihood(rows, best.coefficients + s * step, ties) for s in (1, -1))
        curvature = np.linalg.inv(best.inverse_information)[j, j]
        assert -(up - 2 * middle + down) / 9e-8 == pytest.approx(curvature, rel=1e-4)


@pytest.mark.parametrize("weights", [None, "frequency", "sampling"])
def test_residuals_are_derivatives_of_the_score_in_the_weights(weights):
    """As the weights K stay as they are, the weighted residuals sum to the score at any coefficients."""
    data = Rows(8, weights=weights).data()
    state = fine_gray_state(data, np.array([0.2, 0.1]))
    n = data.cox.design.n_rows
    residuals = fine_gray_residuals(data, state).of(slice(0, n))
    w = np.ones(n) if data.cox.weights is None else data.cox.weights
    score = w @ residuals
    for j in range(2):
        step = np.eye(2)[j] * 1e-6
        up, down = (fine_gray_state(data, state.coefficients + s * step).log_likelihood for s in (1, -1))
        assert score[j] == pytest.approx((up - down) / 2e-6, rel=1e-6, abs=1e-6)
    parts = fine_gray_residuals(data, state)
    np.testing.assert_array_equal(np.concatenate([parts.of(slice(i, i + 7)) for i in range(0, n - n % 7, 7)]),
                                  residuals[: n - n % 7])  # fmt: skip


def test_ten_rows_by_hand():
    """One day's weights: two of cause 2 leave on day 1, one of eight is censored on day 2, two of six on day 3."""
    duration = np.array([1, 1, 2, 2, 3, 3, 3, 4, 5, 6])
    outcome = np.array([2, 2, 1, 0, 1, 0, 0, 1, 2, 1])
    sets = risk_sets(duration, outcome == 1)
    found = staying(sets, duration, outcome)
    assert found.rows.tolist() == [0, 1, 8]
    # of G: on day 2 one event leaves first, 1 of 7 is censored; on day 3 likewise 2 of 5; on days 2, 3, 4, 6
    G = np.array([1, 6 / 7, 6 / 7 * 3 / 5, 6 / 7 * 3 / 5])
    np.testing.assert_allclose(found.K, G, rtol=1e-14)
    np.testing.assert_allclose(found.inverse, [1, 1, 35 / 18], rtol=1e-14)
    cox = CoxData(design([np.arange(10.0)], ["x"], n_rows=10), sets)
    null = fine_gray_state(FineGrayData.of(cox, found), np.zeros(1)).log_likelihood
    by_hand = -np.log([8 + 2, 6 + 12 / 7, 3 + 2 * 18 / 35, 1 + 1 + 2 * 18 / 35]).sum()
    assert null == pytest.approx(by_hand, rel=1e-14)


def test_crr_lets_events_of_the_day_be_at_risk_of_censoring():
    duration = np.array([1, 2, 2, 3])
    outcome = np.array([2, 1, 0, 1])
    sets = risk_sets(duration, outcome == 1)
    assert staying(sets, duration, outcome).K.tolist() == pytest.approx([1, 1 / 2])
    assert staying(sets, duration, outcome, events_first=False).K.tolist() == pytest.approx([1, 2 / 3])


def test_without_other_causes_it_is_cox():
    rows = Rows(9)
    rows.outcome[rows.outcome == 2] = 0
    data = rows.data()
    ours, theirs = fit_fine_gray(data), fit_cox(data.cox)
    np.testing.assert_allclose(ours.coefficients, theirs.coefficients, rtol=1e-12)
    np.testing.assert_allclose(ours.inverse_information, theirs.inverse_information, rtol=1e-12)


def test_without_censoring_others_stay_for_ever():
    rows = Rows(10, late=False)
    rows.outcome[rows.outcome == 0] = 2
    ours = fit_fine_gray(rows.data())
    rows.duration[rows.outcome == 2] = 99
    rows.outcome[rows.outcome == 2] = 0
    theirs = fit_cox(rows.data().cox)
    np.testing.assert_allclose(ours.coefficients, theirs.coefficients, rtol=1e-12)
    np.testing.assert_allclose(ours.inverse_information, theirs.inverse_information, rtol=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_frequencies_are_repeated_rows(seed, late):
    rows = Rows(seed, late=late, weights="frequency")
    one = rows.data()
    again = Rows(seed, late=late)
    for name in ("x", "duration", "entry", "outcome", "stratum"):
        if getattr(again, name) is not None:
            setattr(again, name, np.repeat(getattr(again, name), rows.users.astype(int), axis=0))
    many = again.data()
    ours, theirs = fit_fine_gray(one), fit_fine_gray(many)
    np.testing.assert_allclose(ours.coefficients, theirs.coefficients, rtol=1e-8, atol=1e-10)
    errors = [robust_covariance(d, f.state, f.inverse_information, None) for d, f in ((one, ours), (many, theirs))]
    np.testing.assert_allclose(*errors, rtol=1e-8, atol=1e-13)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 50))
def test_order_of_rows_and_unit_of_time_do_not_matter(seed, unit):
    rows, moved = Rows(seed, late=True), Rows(seed, late=True)
    order = np.random.default_rng(seed).permutation(len(rows.duration))
    for name in ("x", "outcome", "stratum"):
        setattr(moved, name, getattr(rows, name)[order])
    moved.duration, moved.entry = rows.duration[order] * unit, rows.entry[order] * unit
    ours, theirs = fit_fine_gray(rows.data()), fit_fine_gray(moved.data())
    np.testing.assert_allclose(ours.coefficients, theirs.coefficients, rtol=1e-8, atol=1e-10)


def test_clusters_of_one_row_are_rows():
    data = Rows(11, weights="sampling").data()
    found = fit_fine_gray(data)
    own = np.arange(data.cox.design.n_rows)
    ours, theirs = (robust_covariance(data, found.state, found.inverse_information, c) for c in (None, own))
    np.testing.assert_allclose(ours, theirs, rtol=1e-11)
    pairs = robust_covariance(data, found.state, found.inverse_information, own // 2)
    assert not np.allclose(pairs, ours, rtol=1e-3)


def test_a_category_is_its_column():
    rows = Rows(12)
    rows.x = (rows.x > 0).astype(float)
    data = rows.data()
    codes = [Indicators(column.astype(np.int32), (name,), "rest") for column, name in zip(rows.x.T, "ab", strict=True)]
    coded = FineGrayData.of(replace(data.cox, design=design([], [], codes, n_rows=len(rows.x))), data.staying)
    ours, theirs = fit_fine_gray(data), fit_fine_gray(coded)
    np.testing.assert_allclose(ours.coefficients, theirs.coefficients, rtol=1e-10)
    covariances = [
        robust_covariance(d, f.state, f.inverse_information, None) for d, f in ((data, ours), (coded, theirs))
    ]
    np.testing.assert_allclose(*covariances, rtol=1e-9)


def test_the_baseline_gives_the_incidence_of_aalen_and_johansen():
    """With Breslow's ties and no covariate to speak of, 1 - prod(1 - dH) is the incidence, entries or not."""
    from churnsurv.numerics.competing import CauseRows, aalen_johansen, cause_counts

    rows = Rows(13, n=400, n_strata=1)
    data = rows.data(ties="breslow")
    state = fine_gray_state(data, np.zeros(2))
    moments = fine_gray_moments(data, state, last_day=np.array([13.0]))
    step = np.diff(moments.hazard, prepend=0.0) * np.exp(-state.shift)
    ours = 1 - np.cumprod(1 - step)
    counts = cause_counts(CauseRows(rows.duration, rows.outcome, rows.entry), n_causes=2)[0]
    theirs = aalen_johansen(counts).incidence[0][np.searchsorted(counts.time, moments.time)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_after_all_are_censored_nobody_stays():
    """All at risk are censored on day 5; who enters later is alone in the risk sets."""
    duration = np.array([2, 3, 5, 5, 9, 10])
    outcome = np.array([2, 1, 0, 0, 1, 1])
    entry = np.array([0, 0, 0, 0, 4, 4])
    sets = risk_sets(duration, outcome == 1, entry=entry)
    # two entered on day 4, so that the log is not empty after day 5; without them nothing carries over
    found = staying(sets, duration, outcome, entry=entry)
    assert found.rows.tolist() == [0]
    assert found.K[0] * found.inverse[0] == pytest.approx(1.0)
    alone = np.array([True, True, True, True, False, False])
    ended = staying(risk_sets(duration[alone], outcome[alone] == 1), duration[alone], outcome[alone])
    assert ended.place.tolist() == [0]


def test_a_gap_in_the_log_is_an_error():
    duration, outcome, entry = np.array([2, 3, 9, 10]), np.array([2, 1, 1, 2]), np.array([0, 0, 5, 5])
    sets = risk_sets(duration, outcome == 1, entry=entry)
    with pytest.raises(ConvergenceError, match="before day 5 is still there"):
        staying(sets, duration, outcome, entry=entry)
    # nobody has to stay over it
    assert staying(sets, duration, np.array([0, 1, 1, 2]), entry=entry).rows.size == 0


def test_separation_and_empty_categories_are_named():
    rows = Rows(14, late=False)
    rows.x[:, 0] = rows.outcome == 1
    with pytest.raises(ConvergenceError, match="'x1' to plus infinity"):
        fit_fine_gray(rows.data())
    rows = Rows(14, late=False)
    rows.x[:, 1] = 2 * rows.x[:, 0] + 1
    with pytest.raises(ConvergenceError, match="collinear"):
        fit_fine_gray(rows.data())
    rows = Rows(14, late=False)
    data = rows.data()
    codes = Indicators((rows.outcome == 2).astype(np.int32), ("g: b",), "g: a")
    coded = FineGrayData.of(replace(data.cox, design=design([], [], [codes], n_rows=60)), data.staying)
    with pytest.raises(ConvergenceError, match="none of the rows at risk in 'g: b'"):
        fit_fine_gray(coded)
    rows.outcome[rows.outcome == 1] = 0
    with pytest.raises(ConvergenceError, match="no event of the cause"):
        fit_fine_gray(rows.data())


def test_crr_variance_adds_little_where_censoring_is_rare():
    """Its part for G vanishes without censoring."""
    rows = Rows(15, late=False, n_strata=1)
    rows.outcome[rows.outcome == 0] = 2
    data = rows.data(ties="breslow", crr=True)
    found = fit_fine_gray(data)
    theirs = robust_covariance(data, found.state, found.inverse_information, None)
    np.testing.assert_allclose(crr_covariance(data, found.state, found.inverse_information), theirs, rtol=1e-12)
