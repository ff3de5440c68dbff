"""The law of formal churn that the model implies, exactly: a recursion over days, nothing is simulated.

Formal churn comes ``idle_days`` after the last activity, at activities the probability of leaving depends on channel,
burst and number of investments, and gaps on the hidden type. So the first spell of a user is a walk over (day, type,
investments up to 3), and the expected number of activities on each day in each of these states follows day by day
from those before. Contacts before the day of churn, shocks and problems are not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError
from churnsurv.simulation.people import BY_CAMPAIGN, BY_HOLIDAY
from churnsurv.simulation.world import AT_REGISTRATION, LATER, MOST_WHILE_NEW, WHILE_NEW, World

__all__ = ["Groups", "churn_day_pmf", "group_hazard_ratios", "registration_groups"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

IDLE_DAYS = 30
_STATES = MOST_WHILE_NEW + 2  # numbers of investments: 0, 1, 2, more


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Users of one channel and burst, by day of registration.

    Attributes
    ----------
    channel, burst : (n_groups,) int64
    registered : (n_groups, days) float64
        Share of all users who are in the group and register on the day.
    """

    channel: Ints
    burst: Ints
    registered: Floats


def registration_groups(world: World) -> Groups:
    """Split all users by channel and burst, exactly."""
    model = world.model
    days = np.arange(model.days)

    def within(span: tuple[date, date]) -> Floats:
        inside = (days >= model.day(span[0])) & (days <= model.day(span[1]))
        spread: Floats = inside / inside.sum()
        return spread

    holiday, campaign = within(model.holiday), within(model.campaign_days)
    channel, burst, registered = [], [], []
    for i, each in enumerate(model.channels):
        won = each.campaign_share
        by_holiday = (1.0 - won) * each.holiday_share
        others = (1.0 - won - by_holiday) * world.registrations
        in_holiday = holiday > 0
        for code, share in (
            (0, np.where(in_holiday, 0.0, others)),
            (BY_CAMPAIGN, won * campaign),
            (BY_HOLIDAY, by_holiday * holiday + np.where(in_holiday, others, 0.0)),
        ):
            channel.append(i)
            burst.append(code)
            registered.append(each.share * share)
    return Groups(np.array(channel), np.array(burst), np.array(registered))


def churn_day_pmf(world: World, channel: Ints, burst: Ints, *, horizon: int) -> Floats:
    """P(first formal churn on day t after registration), t = 0 ... horizon, shape (n_groups, horizon + 1).

    Raises
    ------
    InputError
        If the world has shocks or problems: leaving then depends on more than the groups.
    """
    if not world.constant:
        raise InputError("The exact law of formal churn is known without shocks and problems only. Leave them out.")
    laws, model = world.laws, world.model
    leaving = -np.expm1(-world.rates[channel] * world.bursts[burst][:, None])  # (n_groups, 3)
    gaps = np.arange(1, IDLE_DAYS + 1)
    stays, long_stay = laws.pmf[:, gaps], laws.survival[:, IDLE_DAYS]
    goes, long_gone = laws.departed_pmf(gaps), float(laws.departed_survival(np.array([IDLE_DAYS]))[0])
    # active[t, group, type, state]: expected activities on day t of those who have not churned yet
    active = np.zeros((horizon + IDLE_DAYS + 1, channel.size, len(model.gap_means), _STATES))
    active[0, :, :, 0] = np.array(model.gap_shares)
    churn = np.zeros((channel.size, horizon + 1))
    first, later = _moves(world, channel, model.first_day_invests), _moves(world, channel, 1.0)
    for t in range(horizon - IDLE_DAYS + 1):
        stage = np.full(_STATES, AT_REGISTRATION) if t == 0 else np.array([WHILE_NEW] * (_STATES - 1) + [LATER])
        q = leaving[:, stage][:, None, :]
        stayer_moves, leaver_moves = first if t == 0 else later
        stay = np.einsum("gks,gsr->gkr", active[t] * (1.0 - q), stayer_moves)
        left = np.einsum("gks,gsr->gkr", active[t] * q, leaver_moves)
        churn[:, t + IDLE_DAYS] = np.einsum("gkr,k->g", stay, long_stay) + left.sum(axis=(1, 2)) * long_gone
        active[t + 1 : t + 1 + IDLE_DAYS] += (
            stay[None] * stays.T[:, None, :, None] + left[None] * goes[:, None, None, None]
        )
    return churn


def _moves(world: World, channel: Ints, factor: float) -> tuple[Floats, Floats]:
    """Probabilities of going from one number of investments to another on a day, for stayers and leavers."""
    model = world.model
    matrices = []
    for leaver in (1.0, model.leaver_invests):
        invests = np.array([each.invests for each in model.channels])[channel] * factor * leaver
        moves = np.zeros((channel.size, _STATES, _STATES))
        for state in range(_STATES):
            for more, share in ((0, 1.0 - invests), (1, invests * (1.0 - model.invests_twice))):
                moves[:, state, min(state + more, _STATES - 1)] += share
            moves[:, state, min(state + 2, _STATES - 1)] += invests * model.invests_twice
        matrices.append(moves)
    return matrices[0], matrices[1]


def group_hazard_ratios(world: World) -> dict[str, float]:
    """Hazard ratios that a grouped proportional-hazards fit of formal churn tends to, users without end.

    The fit has the terms channel and campaign, and the follow-up of the log: every user from registration to its
    last day. The law is not one of proportional hazards, so this is what the model comes to, not what it was made of.

    Returns
    -------
    dict of str to float
        By term, such as "channel: invitation"; references are the first channel and no campaign.
    """
    from churnsurv.numerics.cox import CoxData
    from churnsurv.numerics.design import design
    from churnsurv.numerics.grouped import fit_grouped
    from churnsurv.numerics.risk_sets import risk_sets

    groups, days = registration_groups(world), world.model.days
    pmf = churn_day_pmf(world, groups.channel, groups.burst, horizon=days - 1)
    # registered on day r, a user is followed for days - 1 - r
    followed = groups.registered[:, ::-1]
    at_least = np.cumsum(followed[:, ::-1], axis=1)[:, ::-1]
    weights = np.concatenate([pmf * at_least, (1.0 - np.cumsum(pmf, axis=1)) * followed], axis=1)
    channel = np.repeat(groups.channel, 2 * days)
    campaign = np.repeat(groups.burst == BY_CAMPAIGN, 2 * days).astype(np.float64)
    names = [f"channel: {each.name}" for each in world.model.channels[1:]]
    columns = [(channel == i + 1).astype(np.float64) for i in range(len(names))]
    keep = weights.ravel() > 1e-15
    sets = risk_sets(np.tile(np.arange(days), 2 * channel.size // (2 * days))[keep], _events(groups, days)[keep])
    matrix = design(
        [*(column[keep] for column in columns), campaign[keep]], [*names, "campaign: spring"], n_rows=int(keep.sum())
    )
    solution = fit_grouped(CoxData(matrix, sets, sampling=1e6 * weights.ravel()[keep]))
    return dict(zip(matrix.names, np.exp(solution.coefficients).tolist(), strict=True))


def _events(groups: Groups, days: int) -> NDArray[np.bool_]:
    events: NDArray[np.bool_] = np.tile(np.repeat([True, False], days), groups.channel.size)
    return events
