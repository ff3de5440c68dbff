"""What contacts do in truth: the effect of each arm on those assigned, and the best day to contact users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError
from churnsurv.simulation.filter import gap_survival
from churnsurv.simulation.model import Campaign
from churnsurv.simulation.paths import Paths
from churnsurv.simulation.rhythm import GapLaws
from churnsurv.simulation.world import World

__all__ = ["IDLE_DAYS", "ContactRule", "Risk", "arm_sums", "check_apart", "contact_rules", "risk_of"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

IDLE_DAYS = 30
LOW_BALANCE = 100_00
_STAGES = (("new", 0), ("growth", 3), ("mature", 10))


def check_apart(campaigns: Sequence[Campaign], horizon: int) -> None:
    """Raise InputError where the effect of one campaign cannot be told without another's."""
    for before, after in permutations(campaigns, 2):
        between = (after.first - before.last).days
        if after.first >= before.first and (
            between <= horizon or max(after.idle_days) - min(before.idle_days) >= between
        ):
            raise InputError(
                f"Campaigns {before.name!r} and {after.name!r} may contact a user within the same {horizon} days, so "
                "that neither has an effect of its own. Ask for a shorter horizon, or simulate them further apart."
            )


def arm_sums(world: World, paths: Paths, horizon: int) -> list[tuple[int, int, int, float]]:
    """Sum, over the users assigned to a campaign, of P(active again within `horizon` days of assignment) under an arm.

    Every user assigned counts under every arm, given what the log told about him before.

    Returns
    -------
    list of (campaign, arm, n, sum)
        `n` counts all users assigned to the campaign.
    """
    found, sums = paths.assignments, []
    row = paths.first[found.user] + found.step
    for i, campaign in enumerate(world.campaigns):
        mine = np.flatnonzero(found.campaign == i)
        idle = found.idle[mine]
        days = np.column_stack([idle, idle + horizon])
        living, departed = _still_away(world, paths, row[mine], days)
        for arm in range(len(campaign.arms)):
            silent = _silent(world, campaign, arm, idle, horizon)
            returns = 1.0 - (living[:, 1] + departed[:, 1] * silent) / (living[:, 0] + departed[:, 0])
            sums.append((i, arm, mine.size, float(returns.sum())))
    return sums


def _still_away(world: World, paths: Paths, rows: Ints, days: Ints) -> tuple[Floats, Floats]:
    """P(gap > days, living) and P(gap > days, departed), with what surveys have said up to the first of the days."""
    steps, (earliest, latest) = paths.steps, world.model.survey_days
    left, weights = steps.left_probability[rows], steps.weights[rows]
    known = np.minimum(days, world.laws.survival.shape[1] - 1)
    living = (1.0 - left)[:, None] * np.einsum("nk,knd->nd", weights, world.laws.survival[:, known])
    said = (steps.survey_day[rows] > 0) & (steps.survey_day[rows] <= days[:, 0])
    asked = np.clip(days[:, 0] - earliest + 1, 0, latest - earliest + 1) / (latest - earliest + 1)
    heard = np.where(said, 1.0, 1.0 - world.model.surveyed * asked)
    departed = (left * heard)[:, None] * world.laws.departed_survival(days)
    return np.where(said[:, None], 0.0, living), departed


def _silent(world: World, campaign: Campaign, arm: int, idle: Ints, horizon: int) -> Floats:
    """P(no answer within the horizon) of one who has left, under an arm."""
    chosen = campaign.arms[arm]
    horizons = np.full(idle.size, horizon)
    silent = 1.0 - chosen.saves * world.model.saving(idle) * world.laws.answered_by(horizons)
    if chosen.then is not None:
        after = next(each for each in campaign.arms if each.name == chosen.then)
        chance = after.saves * world.model.saving(idle + chosen.after)
        silent = silent * (1.0 - chance * world.laws.answered_by(horizons - chosen.after))
    return silent


@dataclass(frozen=True, slots=True, eq=False)
class Risk:
    """P(gap > d) of gaps, and what rules may look at.

    Attributes
    ----------
    survival : (n, 31) float64
        For d = 0 ... 30.
    stage : (n,) int64
        new, growth, mature by the number of investments.
    low_balance : (n,) bool
        Below 100.
    """

    survival: Floats
    stage: Ints
    low_balance: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ContactRule:
    """The best idle day of a group under a rule; None where no contact pays."""

    rule: str
    group: str
    idle_day: int | None
    net_benefit: float
    share_of_gaps: float


def risk_of(laws: GapLaws, left: Floats, weights: Floats, n_investments: Ints, balance: Ints) -> Risk:
    """Gather what the rules need of gaps."""
    starts = np.array([start for _, start in _STAGES])
    return Risk(
        survival=gap_survival(laws, left, weights, np.arange(IDLE_DAYS + 1)),
        stage=np.searchsorted(starts, n_investments, side="right") - 1,
        low_balance=balance < LOW_BALANCE,
    )


def contact_rules(risk: Risk, *, value: float, cost: float, saving: Floats) -> list[ContactRule]:
    """The best contact day of each group, for rules that look at more and more.

    With S(d) = P(gap > d), a contact at the end of idle day d is made with probability S(d), costs `cost`, and saves
    `saving[d]` of those who would churn, each worth `value`: NB(d) = value saving(d) S(30) - cost S(d), per gap.

    Raises
    ------
    InputError
        If `saving` has not one number for each idle day from 0 to 29, or there are no gaps.
    """
    if saving.shape != (IDLE_DAYS,) or not np.isfinite(saving).all():
        raise InputError(
            f"saving is one number for each idle day from 0 to {IDLE_DAYS - 1}; its shape is {saving.shape}."
        )
    n = risk.survival.shape[0]
    if n == 0:
        raise InputError("There are no gaps to learn from. Simulate more users.")
    benefit = value * saving * risk.survival[:, IDLE_DAYS:] - cost * risk.survival[:, :IDLE_DAYS]
    benefit[:, 0] = -np.inf  # nobody is idle on the day of an activity
    stage, balance = [name for name, _ in _STAGES], ["100 or more", "below 100"]
    low = risk.low_balance.astype(np.int64)
    rules = [
        *_by("one day", benefit, np.zeros(n, dtype=np.int64), ["all"]),
        *_by("by balance", benefit, low, balance),
        *_by("by stage", benefit, risk.stage, stage),
        *_by("by stage and balance", benefit, 2 * risk.stage + low, [f"{s} | {b}" for s in stage for b in balance]),
    ]
    best = np.maximum(benefit.max(axis=1), 0.0)
    return [*rules, ContactRule("each gap's own day", "all", None, float(best.mean()), 1.0)]


def _by(rule: str, benefit: Floats, group: Ints, names: list[str]) -> list[ContactRule]:
    found = []
    for code, name in enumerate(names):
        rows = group == code
        if not rows.any():
            continue
        mean = benefit[rows].mean(axis=0)
        day = int(mean.argmax())
        pays = bool(mean[day] > 0)
        found.append(ContactRule(rule, name, day if pays else None, max(float(mean[day]), 0.0), float(rows.mean())))
    return found
