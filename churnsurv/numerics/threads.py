"""Work on many rows by several threads, with an answer that does not depend on their number.

Rows are cut into chunks of fixed size; what the chunks give comes back in the order of the rows, to be added up in that
order. Numpy lets go of the interpreter in most of what it does with a chunk, so that threads are all it takes.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["by_chunks", "threads_allowed"]

T = TypeVar("T")

_CHUNK = 65_536  # rows; a column of them stays in the second-level cache
_FEWEST_CHUNKS = 4  # fewer are done before threads have started
_MOST_THREADS = 8  # more wait for memory, and for each other
_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")


def threads_allowed() -> int:
    """Return how many threads may work at once: the cores of this process, or fewer where BLAS may have fewer.

    The variables of the environment that bound BLAS (``OMP_NUM_THREADS``, ``OPENBLAS_NUM_THREADS``, ...) bound us too.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    allowed = [len(affinity(0)) if affinity else os.cpu_count() or 1, _MOST_THREADS]
    given = (os.environ.get(name, "") for name in _LIMITS)
    allowed += [int(text) for text in given if text.isdecimal() and int(text) > 0]
    return min(allowed)


def by_chunks(work: Callable[[slice], T], n_rows: int) -> list[T]:
    """Do work on chunks of consecutive rows, several at once, and return what each gave, in the order of the rows.

    Examples
    --------
    >>> by_chunks(lambda rows: (rows.start, rows.stop), 100_000)
    [(0, 65536), (65536, 100000)]
    """
    chunks = [slice(first, min(first + _CHUNK, n_rows)) for first in range(0, n_rows, _CHUNK)] or [slice(0, 0)]
    n_threads = min(threads_allowed(), len(chunks)) if len(chunks) >= _FEWEST_CHUNKS else 1
    if n_threads == 1:
        return [work(rows) for rows in chunks]
    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(work, chunks))
