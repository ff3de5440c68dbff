"""First spells of random lives told a second time, by loops over days: nothing here is shared with the package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np

from tests.data.lives import IDLE, LAST, Event, Lives, active_days, features_of

Z = 1.959963984540054


def busy_lives(seed: int, *, n_users: int = 50, balances: bool = False) -> Lives:
    """Lives longer than those of `lives`: gaps around the idle days, days of ten investments, some without an end."""
    rng = np.random.default_rng([seed, 1])
    registered = {user: int(rng.integers(-15, LAST // 2)) for user in range(n_users)} | {0: LAST, 1: LAST - IDLE, 2: 0}
    events: list[Event] = []
    for user, start in registered.items():
        day, leaves = start, rng.choice([0.02, 0.15, 0.5])
        while day <= LAST:
            n = int(rng.choice([1, 2, 25], p=[0.5, 0.45, 0.05]))
            kinds = rng.choice(["login", "invest", "redeem", "view"], n, p=[0.4, 0.4, 0.1, 0.1])
            for kind in map(str, kinds):
                amount = float(rng.integers(1, 4_000)) / 4 if kind in {"invest", "redeem"} else None
                product = str(rng.choice(["plain", "boosted"])) if kind == "invest" else None
                events.append((user, day, kind, amount, product))
            gone = rng.random() < leaves
            day += int(rng.choice([IDLE + 1, 2 * IDLE, LAST]) if gone else rng.choice([1, 1, 2, 3, IDLE - 1, IDLE]))
    known = {(int(rng.integers(n_users)), int(rng.integers(LAST))): float(rng.integers(500)) for _ in range(n_users)}
    rows = [(user, day, balance) for (user, day), balance in known.items()]
    return Lives(registered, events, rows if balances else None)


@dataclass(frozen=True)
class FirstSpell:
    user: int
    origin: int
    duration: int
    churned: bool
    last_active: int
    #: (stage, first day, days in it, how it ended: moved, churned or None)
    episodes: tuple[tuple[str, int, int, str | None], ...]

    @property
    def channel(self) -> str:
        return "ab"[self.user % 2]

    @property
    def followed(self) -> int:
        return LAST - self.origin


def first_spell(lives: Lives, user: int) -> FirstSpell:
    """Walk from registration, day by day, until so many days without activity have passed or the log ends."""
    origin = lives.registered[user]
    active = set(active_days(lives, user, LAST))
    idle, day = 0, origin
    while day < LAST:
        day += 1
        idle = 0 if day in active else idle + 1
        if idle == IDLE:
            break
    churned = idle == IDLE
    alive = range(origin, day if churned else day + 1)
    stages = [str(features_of(lives, user, each)["stage"]) for each in alive]
    episodes: list[tuple[str, int, int, str | None]] = []
    begin = 0
    for place, stage in enumerate(stages):
        if place + 1 == len(stages):
            episodes.append((stage, origin + begin, day - origin - begin, "churned" if churned else None))
        elif stages[place + 1] != stage:
            episodes.append((stage, origin + begin, place + 1 - begin, "moved"))
            begin = place + 1
    return FirstSpell(user, origin, day - origin, churned, day - idle, tuple(episodes))


def first_spells(lives: Lives) -> list[FirstSpell]:
    """Those of users registered in the log, in the order of users."""
    return [first_spell(lives, user) for user, day in sorted(lives.registered.items()) if 0 <= day <= LAST]


def wilson(count: int, n: int, z: float) -> tuple[float, float]:
    p, middle = count / n, (count / n + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return middle - half, middle + half


def kaplan_meier(rows: Sequence[tuple[int, bool]], horizon: int) -> tuple[float, float]:
    """Survival on a day and Greenwood's sum, of (duration, churned) at risk from the day after the origin."""
    survival, greenwood = 1.0, 0.0
    for day in range(1, horizon + 1):
        n = sum(duration >= day for duration, _ in rows)
        d = sum(duration == day and churned for duration, churned in rows)
        if d:
            survival *= 1 - d / n
            greenwood += d / (n * (n - d)) if d < n else float("nan")
    return survival, greenwood


def log_log(survival: float, greenwood: float) -> tuple[float, float]:
    half = Z * sqrt(greenwood) / log(survival)
    low, high = survival ** exp(-half), survival ** exp(half)
    return min(low, high), max(low, high)


def incidence(rows: Sequence[tuple[int, str | None]], cause: str, horizon: int) -> float:
    """Aalen and Johansen's estimate, of (duration, how it ended)."""
    survival, found = 1.0, 0.0
    for day in range(1, horizon + 1):
        n = sum(duration >= day for duration, _ in rows)
        ended = [how for duration, how in rows if duration == day and how is not None]
        if n and ended:
            found += survival * ended.count(cause) / n
            survival *= 1 - len(ended) / n
    return found
