"""A model made ready to be drawn from: its tables, under one seed, scenario and choice of campaigns and shocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from churnsurv.simulation.asked import check_campaigns, check_problems, check_shocks
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
        If campaigns, shocks or problems make no sense, or two campaigns could contact a user in either order.
    """
    check_campaigns(campaigns, model)
    check_shocks(shocks, model)
    check_problems(problems)
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


def _shocks_by_day(model: Model, shocks: Sequence[Shock]) -> Floats:
    factors = np.ones((model.days, len(model.channels), len(REASONS)))
    names = [channel.name for channel in model.channels]
    for shock in shocks:
        first, last = max(model.day(shock.first), 0), model.day(shock.last) + 1
        hit = [i for i, name in enumerate(names) if shock.channels is None or name in shock.channels]
        for channel in hit:
            factors[first:last, channel, REASONS.index(shock.reason)] *= shock.factor
    return factors


def _registrations(model: Model, scenario: Scenario) -> Floats:
    """Days of the week and a mild season, up to the last day with registrations."""
    days = np.arange(model.days)
    weekday = np.array(_WEEKDAYS)[(model.first_day.weekday() + days) % 7]
    weights = weekday * (1.0 + _SEASON * np.sin(2.0 * np.pi * days / 365.25))
    weights[model.day(scenario.registrations_until) + 1 :] = 0.0
    shares: Floats = weights / weights.sum()
    return shares
