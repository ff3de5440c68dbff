"""A model made ready to be drawn from: its tables, under one seed, scenario and choice of campaigns and shocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, did_you_mean
from churnsurv.simulation.draws import MOST_CAMPAIGNS
from churnsurv.simulation.model import REASONS, Campaign, Model, Problem, Scenario, Shock
from churnsurv.simulation.rhythm import GapLaws, gap_laws

__all__ = ["AT_REGISTRATION", "LATER", "WHILE_NEW", "World", "make_world"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

AT_REGISTRATION, WHILE_NEW, LATER = 0, 1, 2
#: Investments up to which a user counts as new in the probability of leaving.
MOST_WHILE_NEW = 2

_WEEKDAYS = (1.0, 1.0, 0.98, 0.98, 1.0, 1.12, 1.08)
_SEASON = 0.12


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """The tables of a model.

    Attributes
    ----------
    model : Model
    scenario : Scenario
    seed : int
    campaigns, shocks, problems : tuple
    laws : GapLaws
    rates : (n_channels, 3) float64
        -log(1 - probability of leaving) at registration, while new, later.
    reasons : (3, n_reasons) float64
        Shares of the reasons in these rates.
    bursts : (3,) float64
        Factor on the rate: none, won by the campaign, registered in the holiday.
    shocks_by_day : (days, n_channels, n_reasons) float64 or None
        Factor on the rate; None without shocks.
    registrations : (days,) float64
        Distribution of the registration day of users who come neither by campaign nor by holiday.
    """

    model: Model
    scenario: Scenario
    seed: int
    campaigns: tuple[Campaign, ...]
    shocks: tuple[Shock, ...]
    problems: tuple[Problem, ...]
    laws: GapLaws
    rates: Floats
    reasons: Floats
    bursts: Floats
    shocks_by_day: Floats | None
    registrations: Floats

    @property
    def constant(self) -> bool:
        """Whether leaving depends on nothing but channel, burst and stage."""
        return self.shocks_by_day is None and not self.problems

    def reason_rates(
        self,
        *,
        channel: NDArray[np.integer],
        burst: NDArray[np.integer],
        stage: NDArray[np.integer] | int,
        day: NDArray[np.integer],
        problem: NDArray[np.integer],
    ) -> Floats:
        """Rate of leaving at an activity by reason, shape (n, n_reasons); the probability is 1 - exp(-sum)."""
        total = self.rates[channel, stage] * self.bursts[burst]
        rates: Floats = total[:, None] * self.reasons[stage]
        if self.shocks_by_day is not None:
            rates = rates * self.shocks_by_day[day, channel]
        if self.problems:
            factors = np.array([1.0, *(problem.factor for problem in self.problems)])
            rates[:, REASONS.index("frustrated")] *= factors[problem]
        return rates


def make_world(
    model: Model,
    scenario: Scenario,
    seed: int,
    *,
    campaigns: Sequence[Campaign],
    shocks: Sequence[Shock],
    problems: Sequence[Problem],
) -> World:
    """Check what was asked for and tabulate it.

    Raises
    ------
    InputError
        If campaigns, shocks or problems make no sense, or two campaigns could contact a user in the same stretch of
        idle days.
    """
    _check_campaigns(campaigns)
    for problem in problems:
        if not 0 < problem.share < 1 or problem.factor < 0 or problem.kind in {"login", "invest", "redeem"}:
            raise InputError(f"A problem needs a kind of its own, a share of days below 1 and a factor: {problem}.")
    if sum(problem.share for problem in problems) >= 1:
        raise InputError("The shares of days with problems add up to 1 or more; a day has one problem at most.")
    leaving = np.array([channel.leaving for channel in model.channels])
    reasons = np.array([model.reasons["new"], model.reasons["new"], model.reasons["later"]])
    return World(
        model=model,
        scenario=scenario,
        seed=seed,
        campaigns=tuple(campaigns),
        shocks=tuple(shocks),
        problems=tuple(problems),
        laws=gap_laws(model.gap_means, model.return_hazard, model.answers),
        rates=-np.log1p(-leaving),
        reasons=reasons,
        bursts=np.array([1.0, model.campaign_factor, model.holiday_factor]),
        shocks_by_day=_shocks_by_day(model, shocks) if shocks else None,
        registrations=_registrations(model, scenario),
    )


def _check_campaigns(campaigns: Sequence[Campaign]) -> None:
    if len(campaigns) > MOST_CAMPAIGNS:
        raise InputError(f"{len(campaigns)} campaigns are too many; {MOST_CAMPAIGNS} can be simulated together.")
    for campaign in campaigns:
        where = f"Campaign {campaign.name!r}"
        names = [arm.name for arm in campaign.arms]
        if not campaign.idle_days or min(campaign.idle_days) < 1 or campaign.first > campaign.last:
            raise InputError(f"{where}: idle_days are whole days of at least 1, and first is not after last.")
        if len(set(names)) != len(names) or abs(sum(arm.share for arm in campaign.arms) - 1) > 1e-9:
            raise InputError(f"{where}: each arm needs a name of its own, and their shares add up to 1.")
        if not any(arm.saves == 0 and arm.then is None for arm in campaign.arms):
            raise InputError(f"{where}: one arm must be a control that saves nobody.")
        for arm in campaign.arms:
            if arm.then is not None and (arm.then not in names or arm.after < 1):
                raise InputError(f"{where}: no arm {arm.then!r} follows {arm.name!r}.{did_you_mean(arm.then, names)}")
            if not 0 <= arm.saves <= 1 or not 0 <= arm.share <= 1:
                raise InputError(f"{where}: share and saves of {arm.name!r} are probabilities.")
    for before, after in pairwise(campaigns):
        if before.latest_contact >= min(after.idle_days):
            raise InputError(
                f"Campaigns {before.name!r} and {after.name!r} could contact a user in either order. Give them in the "
                "order of idle days, the last contact of one before the first of the next."
            )


def _shocks_by_day(model: Model, shocks: Sequence[Shock]) -> Floats:
    factors = np.ones((model.days, len(model.channels), len(REASONS)))
    names = [channel.name for channel in model.channels]
    for shock in shocks:
        if shock.reason not in REASONS:
            raise InputError(f"No reason is called {shock.reason!r}.{did_you_mean(shock.reason, REASONS)}")
        unknown = [name for name in shock.channels or () if name not in names]
        if unknown:
            raise InputError(f"No channel is called {unknown[0]!r}.{did_you_mean(unknown[0], names)}")
        if shock.first > shock.last or shock.factor < 0:
            raise InputError(f"A shock needs a first day not after its last, and a factor of at least 0: {shock}.")
        first, last = max(model.day(shock.first), 0), model.day(shock.last) + 1
        hit = [i for i, name in enumerate(names) if shock.channels is None or name in shock.channels]
        for channel in hit:
            factors[first : max(last, 0), channel, REASONS.index(shock.reason)] *= shock.factor
    return factors


def _registrations(model: Model, scenario: Scenario) -> Floats:
    """Days of the week and a mild season, up to the last day with registrations."""
    days = np.arange(model.days)
    weekday = np.array(_WEEKDAYS)[(model.first_day.weekday() + days) % 7]
    weights = weekday * (1.0 + _SEASON * np.sin(2.0 * np.pi * days / 365.25))
    weights[model.day(scenario.registrations_until) + 1 :] = 0.0
    shares: Floats = weights / weights.sum()
    return shares
