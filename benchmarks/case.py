"""What a case is: an input, contestants, and goals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from benchmarks.measure import Own

Run = Callable[[], float | Own]
Contestant = Callable[[pd.DataFrame], Run]


@dataclass(frozen=True, slots=True)
class Case:
    """One table: our contestant is called churnsurv, the floor is called limit; `slow` ones take minutes.

    The answers of those named in `same` must equal ours to 1e-9.
    """

    title: str
    rows: int
    table: Callable[[int], pd.DataFrame]
    contestants: dict[str, Contestant]
    goals: dict[str, str]
    repeats: int = 3
    warm_up: int = 4_000  # rows of a first small run, which loads the modules
    slow: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
