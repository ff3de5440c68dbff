"""Chunks of rows: in order, complete, and the same whatever the number of threads."""

from __future__ import annotations

import threading
from itertools import pairwise

import numpy as np
import pytest

from churnsurv.numerics import threads
from churnsurv.numerics.cox import CoxData, fit_cox
from churnsurv.numerics.design import Indicators, design
from churnsurv.numerics.risk_sets import risk_sets
from churnsurv.numerics.threads import by_chunks, threads_allowed

LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_CHUNK", 700)
    for name in LIMITS:
        monkeypatch.delenv(name, raising=False)


def use(monkeypatch: pytest.MonkeyPatch, n_threads: int) -> None:
    monkeypatch.setattr(threads, "threads_allowed", lambda: n_threads)


@pytest.mark.parametrize("n_rows", [0, 1, 700, 701, 5_000])
@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.usefixtures("small_chunks")
def test_chunks_cover_the_rows_in_order(n_rows: int, n_threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, n_threads)
    found = by_chunks(lambda rows: (rows.start, rows.stop), n_rows)
    assert found[0][0] == 0
    assert found[-1][1] == n_rows
    assert all(before[1] == after[0] for before, after in pairwise(found))


@pytest.mark.usefixtures("small_chunks")
def test_several_threads_work_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, 2)
    both_there = threading.Barrier(2, timeout=20)
    by_chunks(lambda _: both_there.wait(), 4 * 700)  # two by two: alone, the first would wait for ever


@pytest.mark.usefixtures("small_chunks")
def test_an_error_of_a_thread_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, 2)
    with pytest.raises(ZeroDivisionError):
        by_chunks(lambda rows: 1 // (rows.start - 2_100), 5_000)


@pytest.mark.parametrize("name", LIMITS)
def test_the_threads_of_blas_bound_ours(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for other in LIMITS:
        monkeypatch.delenv(other, raising=False)
    free = threads_allowed()
    assert 1 <= free <= 8
    monkeypatch.setenv(name, "1")
    assert threads_allowed() == 1
    for meaningless in ("", "0", "many"):
        monkeypatch.setenv(name, meaningless)
        assert threads_allowed() == free


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("late", [False, True])
def test_a_fit_is_the_same_to_the_last_bit_with_any_number_of_threads(
    late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    n = 6_000
    columns, codes = list(rng.standard_normal((3, n))), rng.integers(0, 3, n).astype(np.int32)
    duration, event = rng.integers(1, 40, n), rng.random(n) < 0.6
    entry = np.minimum(rng.integers(0, 10, n), duration) if late else None
    fits = []
    for n_threads in (1, 2, 5):
        use(monkeypatch, n_threads)
        made = design(columns, ["x", "y", "z"], [Indicators(codes, ("b", "c"), "a")], n_rows=n)
        fits.append(fit_cox(CoxData(made, risk_sets(duration, event, entry=entry))))
    for other in fits[1:]:
        np.testing.assert_array_equal(other.coefficients, fits[0].coefficients)
        np.testing.assert_array_equal(other.inverse_information, fits[0].inverse_information)
        assert other.log_likelihood == fits[0].log_likelihood
