"""From lives to logs: what happened on each active day, with times, and the balance that came of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from churnsurv.simulation.columns import dates, money, times, words
from churnsurv.simulation.draws import Draws, Purpose
from churnsurv.simulation.paths import Paths
from churnsurv.simulation.people import pick
from churnsurv.simulation.world import World

__all__ = ["KINDS", "PRODUCTS", "balance_table", "event_table"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

KINDS = ("login", "invest", "redeem")
PRODUCTS = ("plain", "boosted")

_DAY = 86_400
_FIRST_DAY_LOGIN = 0.9  # of those who do not invest that day
_LOGINS = (0.05, 0.15, 0.25, 0.25, 0.20, 0.10)  # one, two, ... logins on an active day
_LATER_LOGINS = len(_LOGINS) - 1
_FROM, _UNTIL = 6 * 3600, 21 * 3600  # seconds of the day in which the first login falls


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """What each active day has: logins (0 on some first days), a problem, a redemption; second of its first event."""

    logins: Ints
    problem: Flags
    redeems: Flags
    start: Ints
    draws: Draws


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """The columns of events under way, all of shape (n_events,)."""

    step: Ints
    kind: Ints
    second: Ints
    amount: Ints
    boosted: Flags

    def put(self, place: Ints, step: Ints, second: Ints, kind: int | Ints) -> None:
        self.step[place], self.second[place], self.kind[place] = step, second, kind


def event_table(world: World, paths: Paths) -> pa.Table:
    """Events in the order of user and time: `user_id, event_at, kind, amount, product`."""
    steps, plan = paths.steps, _plan(paths)
    counts = plan.logins + plan.problem + plan.redeems + steps.invests
    first = np.cumsum(counts) - counts
    n = int(counts.sum())
    step, kind, second, amount = (np.zeros(n, dtype=np.int64) for _ in range(4))
    rows = _Rows(step, kind, second, amount, np.zeros(n, dtype=bool))
    place = _put_head(paths, plan, rows, first)
    place = _put_investments(paths, plan, rows, place)
    _put_later_logins(paths, plan, rows, place)
    names = (*KINDS, *(problem.kind for problem in world.problems))
    return pa.table(
        {
            "user_id": paths.people.user_id[steps.user[rows.step]],
            "event_at": times(world.model, steps.day[rows.step] * _DAY + rows.second),
            "kind": words(rows.kind, names),
            "amount": money(rows.amount, missing=rows.amount == 0),
            "product": words(rows.boosted, PRODUCTS, missing=rows.kind != 1),
        }
    )


def _plan(paths: Paths) -> _Plan:
    steps, people = paths.steps, paths.people
    draws = people.draws.at(steps.user)
    registers = steps.step == 0
    logins = 1 + pick(draws.uniform(Purpose.LOGINS, step=steps.step), _LOGINS)
    absent = registers & (steps.invests == 0)
    absent &= draws.uniform(Purpose.FIRST_LOGIN, step=steps.step) >= _FIRST_DAY_LOGIN
    logins[absent] = 0
    at = draws.uniform(Purpose.START, step=steps.step)
    start = _FROM + (at * (_UNTIL - _FROM)).astype(np.int64)
    start[registers] = people.second[steps.user[registers]] + 1 + (at[registers] * 3_600).astype(np.int64)
    return _Plan(logins, steps.problem > 0, steps.redeemed > 0, start, draws)


def _put_head(paths: Paths, plan: _Plan, rows: _Rows, first: Ints) -> Ints:
    """The first login, a problem, a redemption; returns the place after them."""
    place = first.copy()
    for there, later, kind, amount in (
        (plan.logins > 0, 0, 0, None),
        (plan.problem, 20, 2 + paths.steps.problem, None),
        (plan.redeems, 60, 2, paths.steps.redeemed),
    ):
        step = np.flatnonzero(there)
        rows.put(place[step], step, plan.start[step] + later, kind if isinstance(kind, int) else kind[step])
        if amount is not None:
            rows.amount[place[step]] = amount[step]
        place[step] += 1
    return place


def _put_investments(paths: Paths, plan: _Plan, rows: _Rows, place: Ints) -> Ints:
    """Up to two, in the forty minutes after the first login."""
    steps = paths.steps
    for number, amount, boosted, purpose, earliest, within in (
        (1, steps.amount, steps.boosted, Purpose.INVEST_AT, 120, 1_200),
        (2, steps.second_amount, steps.second_boosted, Purpose.SECOND_INVEST_AT, 1_320, 1_080),
    ):
        step = np.flatnonzero(steps.invests >= number)
        later = plan.draws.at(step).uniform(purpose, step=steps.step[step]) * within
        rows.put(place[step], step, plan.start[step] + earliest + later.astype(np.int64), 1)
        rows.amount[place[step]] = amount[step]
        rows.boosted[place[step]] = boosted[step]
        place[step] += 1
    return place


def _put_later_logins(paths: Paths, plan: _Plan, rows: _Rows, place: Ints) -> None:
    """Spread over what is left of the day from an hour after the first: each in its own part of it."""
    left = _DAY - 1 - (plan.start + 3_600)
    for number in range(1, _LATER_LOGINS + 1):
        step = np.flatnonzero(plan.logins > number)
        at = plan.draws.at(step).uniform(Purpose.LOGIN_AT + number - 1, step=paths.steps.step[step])
        part = (number - 1 + at) / (plan.logins[step] - 1)
        rows.put(place[step], step, plan.start[step] + 3_600 + (part * left[step]).astype(np.int64), 0)
        place[step] += 1


def balance_table(world: World, paths: Paths) -> pa.Table:
    """The balance at the end of each day on which money moved: `user_id, date, balance`."""
    steps = paths.steps
    moved = np.flatnonzero((steps.invests > 0) | (steps.redeemed > 0))
    return pa.table(
        {
            "user_id": paths.people.user_id[steps.user[moved]],
            "date": dates(world.model, steps.day[moved]),
            "balance": money(steps.balance[moved]),
        }
    )
