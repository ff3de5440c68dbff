"""The filter against plain enumeration of everything that may have been hidden."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from itertools import product

import numpy as np
import pytest

from churnsurv.simulation.filter import Evidence, gap_survival, posterior_left, updated
from churnsurv.simulation.model import MODEL, SCENARIOS
from churnsurv.simulation.world import World, make_world


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(MODEL, SCENARIOS["steady"], 0, campaigns=(), shocks=(), problems=())


@dataclass(frozen=True)
class Seen:
    """What the log shows of one activity and the gap after it."""

    leaving: float
    invested: bool
    could_drain: bool
    drained: bool
    gap: int
    said_why: bool = False
    contacts: tuple[tuple[int, float], ...] = ()


LIFE = (
    Seen(0.45, True, False, False, 9),
    Seen(0.20, False, True, True, 120, said_why=False),
    Seen(0.20, False, False, False, 41, contacts=((15, 0.2), (22, 0.1))),
    Seen(0.08, False, True, False, 36),
    Seen(0.08, True, True, False, 63, said_why=True, contacts=((30, 0.15),)),
    Seen(0.08, False, True, False, 12),
)
INVESTS, LEAVER_INVESTS = 0.4, 0.12


def of_day(world: World, seen: Seen, left: bool) -> float:
    """P(what was seen on the day | left or not), without the probability of leaving."""
    invests = LEAVER_INVESTS if left else INVESTS
    drains = world.model.leaver_drains if left else world.model.stayer_drains
    likelihood = invests if seen.invested else 1 - invests
    if seen.could_drain and not seen.invested:
        likelihood *= drains if seen.drained else 1 - drains
    return likelihood


def of_gap(world: World, seen: Seen, rhythm: int, left: bool, *, survived: int | None = None) -> float:
    """P(gap and survey | type, left or not), or P(gap > survived)."""
    model, laws = world.model, world.laws
    if not left:
        if survived is not None:
            return float(laws.survival[rhythm, survived])
        return 0.0 if seen.said_why else float(laws.survival[rhythm, seen.gap - 1] - laws.survival[rhythm, seen.gap])

    def longer(days: int) -> float:
        answered = [0.0, *np.cumsum(model.answers).tolist()]
        survival = (1 - model.return_hazard) ** days
        for idle, chance in seen.contacts if survived is None else ():
            survival *= 1 - chance * answered[min(max(days - idle, 0), len(answered) - 1)]
        return survival

    if survived is not None:
        return longer(survived)
    days = range(model.survey_days[0], model.survey_days[1] + 1)
    asked = sum(day < seen.gap for day in days) / len(days)
    survey = model.surveyed if seen.said_why else 1 - model.surveyed * asked
    return (longer(seen.gap - 1) - longer(seen.gap)) * survey


def by_enumeration(world: World, n: int, days: list[int]) -> tuple[np.ndarray, float, list[float]]:
    """Type weights before activity n, P(left at it), and P(gap > d), by summing over all that may have been."""
    types = range(len(world.model.gap_shares))
    weights, left_mass, survival, total = np.zeros(len(types)), 0.0, np.zeros(len(days)), 0.0
    for rhythm, *lefts in product(types, *[(False, True)] * (n + 1)):
        before = world.model.gap_shares[rhythm]
        for seen, left in zip(LIFE[:n], lefts[:-1], strict=True):
            before *= (seen.leaving if left else 1 - seen.leaving) * of_day(world, seen, left)
            before *= of_gap(world, seen, rhythm, left)
        last = LIFE[n]
        now = before * (last.leaving if lefts[-1] else 1 - last.leaving) * of_day(world, last, lefts[-1])
        if not lefts[-1]:
            weights[rhythm] += before
        left_mass += now * lefts[-1]
        survival += now * np.array([of_gap(world, last, rhythm, lefts[-1], survived=d) for d in days])
        total += now
    return weights / weights.sum(), left_mass / total, (survival / total).tolist()


def test_the_filter_is_the_sum_over_everything_hidden(world: World) -> None:
    evidence = Evidence(
        np.array([INVESTS]), np.array([LEAVER_INVESTS]), world.model.stayer_drains, world.model.leaver_drains
    )
    weights, days = np.array([world.model.gap_shares]), [0, 1, 7, 15, 30]
    for n, seen in enumerate(LIFE):
        left = posterior_left(
            np.array([seen.leaving]),
            evidence,
            invested=np.array([seen.invested]),
            could_drain=np.array([seen.could_drain]),
            drained=np.array([seen.drained]),
        )
        expected_weights, expected_left, expected_survival = by_enumeration(world, n, days)
        np.testing.assert_allclose(weights[0], expected_weights, rtol=1e-10)
        np.testing.assert_allclose(left[0], expected_left, rtol=1e-10)
        found = gap_survival(world.laws, left, weights, np.array(days))[0]
        np.testing.assert_allclose(found, expected_survival, rtol=1e-10)
        weights = updated(
            world,
            weights,
            left,
            gap=np.array([seen.gap]),
            said_why=np.array([seen.said_why]),
            idle=np.array([[idle for idle, _ in seen.contacts] + [0]]),
            chance=np.array([[chance for _, chance in seen.contacts] + [0.0]]),
        )


def test_gaps_follow_their_laws(world: World) -> None:
    u = (np.arange(20_000) + 0.5) / 20_000
    for k in range(len(world.model.gap_means)):
        gaps = world.laws.draw_living(np.full(u.size, k), u)
        assert gaps.min() == 1
        for d in (1, 5, 12, 30):
            assert abs((gaps > d).mean() - world.laws.survival[k, d]) <= 1 / u.size
    departed = world.laws.draw_departed(u)
    assert departed.min() == 1
    assert abs((departed > 100).mean() - (1 - world.model.return_hazard) ** 100) <= 1 / u.size


def test_a_day_in_the_window_is_a_date() -> None:
    assert MODEL.date(MODEL.day(date(2024, 5, 20))) == date(2024, 5, 20)
    assert MODEL.day(MODEL.last_day) == MODEL.days - 1
