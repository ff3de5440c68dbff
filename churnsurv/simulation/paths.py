"""The lives of users, activity by activity: all users of a chunk take one step together.

At each activity (registration is the first) the user leaves or stays, invests, drains or takes out a part, and the
next gap is drawn: from the law of his type if he stayed, from that of the departed if he left. Nothing that is
hidden changes between activities, so the filter (`churnsurv.simulation.filter`) can follow exactly what the log
tells about it; it runs alongside.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from churnsurv.simulation.contacts import Assignments, Offers, Recall
from churnsurv.simulation.draws import Draws, Purpose
from churnsurv.simulation.filter import Evidence, posterior_left, updated
from churnsurv.simulation.people import People, normal, pick
from churnsurv.simulation.world import LATER, MOST_WHILE_NEW, WHILE_NEW, World

__all__ = ["Paths", "walk"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

#: Balance from which it can be drained, amount of the least investment, balance that can be taken out in part: cents.
LOW, LEAST, ENOUGH = 100_00, 100_00, 1_000_00
_MOST = 5_000_000_00


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Activities with the gap after each; all arrays have shape (n,) but `weights`, (n, n_types).

    Attributes
    ----------
    user, step : int64
        Position of the user in his chunk; 0 is registration.
    day, gap : int64
        Day of the window; days to the next activity, which may lie beyond the window.
    left : bool
        Hidden: left at this activity.
    reason : int64
        Of leaving; -1 without.
    problem : int64
        0 is none.
    invests : int64
        Number of investments of the day: 0, 1 or 2.
    amount, second_amount, redeemed, balance : int64
        In cents; the balance at the end of the day.
    boosted, second_boosted : bool
    n_investments : int64
        At the end of the day.
    leaving : float64
        Probability of leaving at this activity, before what the user did that day was seen.
    left_probability : float64
        The same afterwards, given the log.
    weights : float64
        Probability of each type given the log up to this activity.
    survey_day : int64
        Idle day on which the user says why; 0 where he does not.
    contacted : bool
    """

    user: Ints
    step: Ints
    day: Ints
    gap: Ints
    left: Flags
    reason: Ints
    problem: Ints
    invests: Ints
    amount: Ints
    second_amount: Ints
    redeemed: Ints
    balance: Ints
    boosted: Flags
    second_boosted: Flags
    n_investments: Ints
    leaving: Floats
    left_probability: Floats
    weights: Floats
    survey_day: Ints
    contacted: Flags


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """The lives of the users of a chunk.

    Attributes
    ----------
    people : People
    steps : Steps
        In the order of user and step.
    first : (n_users + 1,) int64
        Where the steps of each user begin.
    assignments : Assignments
    """

    people: People
    steps: Steps
    first: Ints
    assignments: Assignments


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """Users about to be active: position, day, investments so far, balance in cents, weights of the types."""

    who: Ints
    day: Ints
    invested: Ints
    balance: Ints
    weights: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Money:
    """What the users did with money on the day, as in `Steps`."""

    invests: Ints
    amount: Ints
    second_amount: Ints
    redeemed: Ints
    balance: Ints
    boosted: Flags
    second_boosted: Flags


def walk(world: World, people: People) -> Paths:
    """Let all users live from registration to the end of the window."""
    n = people.user_id.size
    prior = np.broadcast_to(np.array(world.model.gap_shares), (n, len(world.model.gap_shares)))
    none = np.zeros(n, dtype=np.int64)
    state, step = _State(np.arange(n), people.day, none, none, prior), 0
    recall, taken = Recall(world, people), []
    while state.who.size:
        steps, offers = _step(world, people, recall, state, step)
        taken.append(steps)
        state = _next(world, state, steps, offers)
        step += 1
    steps, first = _in_order(taken, n)
    return Paths(people, steps, first, recall.assignments())


def _step(world: World, people: People, recall: Recall, state: _State, step: int) -> tuple[Steps, Offers | None]:
    who, day = state.who, state.day
    draws = people.draws.at(who)
    stage: Ints = np.where(state.invested > MOST_WHILE_NEW, LATER, WHILE_NEW) if step else np.zeros_like(who)
    problem = _problems(world, draws, step, who.size)
    rates = world.reason_rates(
        channel=people.channel[who], burst=people.burst[who], stage=stage, day=day, problem=problem
    )
    leaving = -np.expm1(-rates.sum(axis=1))
    left = draws.uniform(Purpose.LEAVE, step=step) < leaving
    evidence = _evidence(world, people.channel[who], step)
    money = _money(world, people, state, evidence, left, draws, step)
    drained = (state.balance >= LOW) & (money.invests == 0) & (money.balance < LOW)
    left_probability = posterior_left(
        leaving, evidence, invested=money.invests > 0, could_drain=state.balance >= LOW, drained=drained
    )
    uniform = draws.uniform(Purpose.GAP, step=step)
    gap = np.where(left, world.laws.draw_departed(uniform), world.laws.draw_living(people.rhythm[who], uniform))
    offers = recall.contact(who, day, gap, left, draws, step) if world.campaigns else None
    steps = Steps(
        user=who,
        step=np.full(who.size, step),
        day=day,
        gap=gap,
        left=left,
        reason=_reasons(rates, left, draws, step),
        problem=problem,
        **{each.name: getattr(money, each.name) for each in fields(_Money)},
        n_investments=state.invested + money.invests,
        leaving=leaving,
        left_probability=left_probability,
        weights=state.weights,
        survey_day=_surveys(world, day, gap, left, draws, step),
        contacted=np.zeros(who.size, dtype=bool) if offers is None else offers.contacted,
    )
    return steps, offers


def _next(world: World, state: _State, steps: Steps, offers: Offers | None) -> _State:
    """Carry on those who are active again within the window, with what the gap has told about their type."""
    on = np.flatnonzero(steps.day + steps.gap < world.model.days)
    weights = updated(
        world,
        state.weights[on],
        steps.left_probability[on],
        gap=steps.gap[on],
        said_why=steps.survey_day[on] > 0,
        idle=None if offers is None else offers.idle[on],
        chance=None if offers is None else offers.chance[on],
    )
    return _State(state.who[on], (steps.day + steps.gap)[on], steps.n_investments[on], steps.balance[on], weights)


def _evidence(world: World, channel: Ints, step: int) -> Evidence:
    model = world.model
    invests = np.array([each.invests for each in model.channels])[channel]
    if step == 0:
        invests = invests * model.first_day_invests
    return Evidence(invests, invests * model.leaver_invests, model.stayer_drains, model.leaver_drains)


def _problems(world: World, draws: Draws, step: int, n: int) -> Ints:
    if not world.problems or step == 0:
        return np.zeros(n, dtype=np.int64)
    shares = [problem.share for problem in world.problems]
    return pick(draws.uniform(Purpose.PROBLEM, step=step), (1.0 - sum(shares), *shares))


def _reasons(rates: Floats, left: Flags, draws: Draws, step: int) -> Ints:
    """Draw why: each reason in proportion to its rate."""
    reason = np.full(left.size, -1)
    rows = np.flatnonzero(left)
    ends = np.cumsum(rates[rows], axis=1)
    at = draws.at(rows).uniform(Purpose.REASON, step=step) * ends[:, -1]
    reason[rows] = np.minimum((ends <= at[:, None]).sum(axis=1), rates.shape[1] - 1)
    return reason


def _surveys(world: World, day: Ints, gap: Ints, left: Flags, draws: Draws, step: int) -> Ints:
    """Idle day on which one who has left says why, if he is still away; 0 for all others."""
    model = world.model
    earliest, latest = model.survey_days
    rows = np.flatnonzero(left)
    at = draws.at(rows)
    asked = at.uniform(Purpose.SURVEY, step=step) < model.surveyed
    idle = earliest + (at.uniform(Purpose.SURVEY_DAY, step=step) * (latest - earliest + 1)).astype(np.int64)
    found = np.zeros_like(gap)
    found[rows] = np.where(asked & (gap[rows] > idle) & (day[rows] + idle < model.days), idle, 0)
    return found


def _money(
    world: World, people: People, state: _State, evidence: Evidence, left: Flags, draws: Draws, step: int
) -> _Money:
    model, who = world.model, state.who
    yes = draws.uniform(Purpose.INVEST, step=step) < np.where(left, evidence.leaver_invests, evidence.stayer_invests)
    twice = yes & (draws.uniform(Purpose.TWICE, step=step) < model.invests_twice)
    first, first_boosted = _investment(world, people, who, yes, Purpose.AMOUNT, Purpose.BOOSTED, step)
    second, second_boosted = _investment(world, people, who, twice, Purpose.SECOND_AMOUNT, Purpose.SECOND_BOOSTED, step)
    redeemed = _redeemed(world, state.balance, yes, left, draws, step)
    return _Money(
        invests=yes.astype(np.int64) + twice,
        amount=first,
        second_amount=second,
        redeemed=redeemed,
        balance=state.balance - redeemed + first + second,
        boosted=first_boosted,
        second_boosted=second_boosted,
    )


def _investment(
    world: World, people: People, who: Ints, yes: Flags, amount: Purpose, boosted: Purpose, step: int
) -> tuple[Ints, Flags]:
    """Amount in cents and product of those who invest; 0 and plain for the others."""
    cents, form = np.zeros_like(who), np.zeros(who.size, dtype=bool)
    rows = np.flatnonzero(yes)
    at = people.draws.at(who[rows])
    money = np.exp(people.wealth[who[rows]] + world.model.amount_spread * normal(at.uniform(amount, step=step)))
    cents[rows] = np.clip(np.rint(100.0 * money), LEAST, _MOST).astype(np.int64)
    share = np.array([channel.boosted for channel in world.model.channels])[people.channel[who[rows]]]
    form[rows] = at.uniform(boosted, step=step) < share
    return cents, form


def _redeemed(world: World, balance: Ints, invested: Flags, left: Flags, draws: Draws, step: int) -> Ints:
    """Cents taken out: all but less than 100, or a part; the latter is the same for those who leave."""
    model, redeemed = world.model, np.zeros_like(balance)
    if step == 0:
        return redeemed
    drains = (balance >= LOW) & ~invested
    drains &= draws.uniform(Purpose.DRAIN, step=step) < np.where(left, model.leaver_drains, model.stayer_drains)
    remainder = np.maximum(draws.uniform(Purpose.REMAINDER, step=step) * 3.0 - 2.0, 0.0)
    redeemed[drains] = (balance - (remainder * LOW).astype(np.int64))[drains]
    partly = ~drains & (balance >= ENOUGH) & (draws.uniform(Purpose.PART, step=step) < model.redeems_part)
    part = 0.1 + 0.6 * draws.uniform(Purpose.PART_SIZE, step=step)
    redeemed[partly] = (part * balance).astype(np.int64)[partly]
    return redeemed


def _in_order(taken: list[Steps], n_users: int) -> tuple[Steps, Ints]:
    """Put the steps of each user together, in order: every one has its place, so nothing is sorted."""
    counts = np.zeros(n_users, dtype=np.int64)
    for steps in taken:
        counts[steps.user] += 1
    first = np.append(0, np.cumsum(counts))
    columns = {}
    for each in fields(Steps):
        sample = getattr(taken[0], each.name)
        columns[each.name] = np.empty((int(first[-1]), *sample.shape[1:]), dtype=sample.dtype)
    for i, steps in enumerate(taken):
        place = first[steps.user] + i
        for name, column in columns.items():
            column[place] = getattr(steps, name)
    return Steps(**columns), first
