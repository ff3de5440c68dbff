"""The parameters of the simulated app: channels, reasons, campaigns, shocks, and the numbers fitted to the case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ARMS",
    "CAMPAIGNS",
    "CHANNELS",
    "MODEL",
    "PROBLEMS",
    "REASONS",
    "SCENARIOS",
    "Arm",
    "Campaign",
    "Channel",
    "Model",
    "Problem",
    "Scenario",
    "Shock",
]

REASONS = ("rigid", "frustrated", "policy", "natural")


@dataclass(frozen=True, slots=True)
class Channel:
    """What sets the users of an acquisition channel apart.

    Attributes
    ----------
    name : str
    share : float
        Of all users.
    at_registration, while_new, later : float
        Probability of leaving at an activity: at registration, with at most two investments, with more.
    invests : float
        Probability that one who stays invests on an active day after registration.
    typical_amount : float
        Median amount of an investment of a user of median wealth.
    boosted : float
        Share of investments in a boosted product.
    campaign_share, holiday_share : float
        Of its users, won by the marketing campaign, and by the holiday.
    cost_kind : str
        What the ledger of costs calls its cost.
    cost : float
        For each registration.
    """

    name: str
    share: float
    at_registration: float
    while_new: float
    later: float
    invests: float
    typical_amount: float
    boosted: float
    campaign_share: float
    holiday_share: float
    cost_kind: str
    cost: float

    @property
    def leaving(self) -> tuple[float, float, float]:
        """Probability of leaving at registration, while new, later."""
        return (self.at_registration, self.while_new, self.later)


CHANNELS = (
    Channel("organic", 0.21, 0.14, 0.050, 0.055, 0.42, 5_000, 0.22, 0.02, 0.03, "none", 0.0),
    Channel("advertising", 0.14, 0.22, 0.075, 0.065, 0.40, 4_000, 0.20, 0.15, 0.06, "media", 28.0),
    Channel("distribution", 0.20, 0.51, 0.250, 0.025, 0.38, 5_400, 0.28, 0.20, 0.12, "progressive reward", 0.0),
    Channel("invitation", 0.36, 0.09, 0.050, 0.125, 0.56, 4_500, 0.18, 0.05, 0.04, "invitation bonus", 12.0),
    Channel("wealth_supermarket", 0.09, 0.50, 0.245, 0.076, 0.50, 8_000, 0.25, 0.04, 0.03, "commission", 40.0),
)


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm of a recall campaign.

    Attributes
    ----------
    name : str
    share : float
        Of the users assigned.
    saves : float
        Probability that one who has left answers a contact in the first days of idleness; 0 for the control.
    cost : float
        Of one contact.
    then : str, optional
        Name of the arm whose contact follows where the first had no answer.
    after : int
        Days until then.
    """

    name: str
    share: float
    saves: float = 0.0
    cost: float = 0.0
    then: str | None = None
    after: int = 7


ARMS = (
    Arm("none", 0.40),
    Arm("push", 0.15, 0.08, 0.02),
    Arm("sms", 0.15, 0.15, 0.08),
    Arm("voucher", 0.15, 0.25, 6.0),
    Arm("push_then_sms", 0.15, 0.08, 0.02, then="sms"),
)


@dataclass(frozen=True, slots=True)
class Campaign:
    """A randomised recall campaign: who is idle long enough within its days is assigned to an arm, once.

    Attributes
    ----------
    name : str
    idle_days : tuple of int
        Idle days at whose end a user is contacted; each user has one of them, drawn at random.
    first, last : date
        Days on which users are assigned.
    share : float
        Of the users, drawn at random, whom the campaign concerns at all.
    arms : tuple of Arm
        One of them without effect: the control.
    """

    name: str
    idle_days: tuple[int, ...]
    first: date
    last: date
    share: float = 1.0
    arms: tuple[Arm, ...] = ARMS

    @property
    def latest_contact(self) -> int:
        """The last idle day on which it may contact a user."""
        return max(self.idle_days) + max((arm.after for arm in self.arms if arm.then is not None), default=0)


CAMPAIGNS = (
    Campaign("early_warning", (10, 15, 20), date(2025, 1, 15), date(2025, 3, 15)),
    Campaign("recall", (30, 45), date(2024, 7, 1), date(2024, 10, 31)),
)


@dataclass(frozen=True, slots=True)
class Shock:
    """News that multiplies the rate of leaving for one reason on some days.

    Attributes
    ----------
    first, last : date
    factor : float
        On the rate of leaving for that reason at an activity.
    reason : str
    channels : tuple of str, optional
        None: all of them.
    """

    first: date
    last: date
    factor: float
    reason: str = "policy"
    channels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """A bad experience that shows in the log, and multiplies the rate of leaving in frustration on that day.

    Attributes
    ----------
    kind : str
        Kind of its event.
    share : float
        Of active days, that of registration left out.
    factor : float
    """

    kind: str
    share: float
    factor: float


#: Bad experiences that an app may have; none is in the default world.
PROBLEMS = (Problem("crash", 0.02, 4.0), Problem("lag", 0.05, 2.0), Problem("complaint", 0.01, 6.0))


@dataclass(frozen=True, slots=True)
class Scenario:
    """How registrations spread over the log.

    Attributes
    ----------
    name : str
    registrations_until : date
        The last day with registrations.
    """

    name: str
    registrations_until: date


@dataclass(frozen=True, slots=True)
class Model:
    """Everything that the app is drawn from but the number of users, the seed, campaigns, shocks and problems.

    Attributes
    ----------
    first_day, last_day : date
        Window of the log; registrations begin on its first day.
    balanced_from : date
        From here on the ages of the living are in balance, as long as registrations go on.
    campaign_days, holiday : tuple of date
        First and last day of the marketing campaign and of the holiday.
    campaign_factor, holiday_factor : float
        On the rate of leaving (complementary log-log scale) of users won by the campaign, and of all who register in
        the holiday.
    gap_means, gap_shares : tuple of float
        Of the hidden interval types of the living.
    return_hazard : float
        Daily probability that one who has left comes back by himself.
    leaver_invests : float
        Factor on the probability to invest of those who leave on that day.
    first_day_invests : float
        Factor on it on the day of registration.
    invests_twice : float
        Share of days with an investment that have two.
    leaver_drains, stayer_drains : float
        Probability that a user with 100 or more, who does not invest that day, takes out all but less than 100.
    redeems_part : float
        Probability of taking out a part, for users with 1,000 or more who do not drain; says nothing about leaving.
    wealth_spread, amount_spread : float
        Standard deviations of log amounts, between users and within.
    reasons : Mapping of str to tuple
        Shares of `REASONS` in leaving at registration or while new, and later.
    surveyed : float
        Share of the departed who say why, if they stay away that long.
    plateau, floor, falls_at, falls_over : number
        s(d) = saves * (floor + (1 - floor) / (1 + exp((d - falls_at) / falls_over))) / the same at d = 0.
    answers : tuple of float
        Probability that an answer comes 1, 2, ... days after the contact.
    """

    channels: tuple[Channel, ...] = CHANNELS
    first_day: date = date(2022, 7, 1)
    balanced_from: date = date(2024, 1, 1)
    last_day: date = date(2025, 6, 29)
    campaign_days: tuple[date, date] = (date(2024, 5, 20), date(2024, 5, 26))
    holiday: tuple[date, date] = (date(2024, 2, 10), date(2024, 2, 17))
    campaign_factor: float = 1.4
    holiday_factor: float = 1.25
    gap_means: tuple[float, ...] = (5.0, 8.0, 10.5, 13.0, 18.0)
    gap_shares: tuple[float, ...] = (0.08, 0.28, 0.38, 0.22, 0.04)
    return_hazard: float = 0.0005
    leaver_invests: float = 0.3
    first_day_invests: float = 0.8
    invests_twice: float = 0.12
    leaver_drains: float = 0.72
    stayer_drains: float = 0.04
    redeems_part: float = 0.15
    wealth_spread: float = 0.9
    amount_spread: float = 0.6
    reasons: Mapping[str, tuple[float, ...]] = field(
        default_factory=lambda: MappingProxyType({"new": (0.10, 0.35, 0.15, 0.40), "later": (0.22, 0.23, 0.20, 0.35)})
    )
    surveyed: float = 0.35
    survey_days: tuple[int, int] = (31, 44)
    floor: float = 0.3
    falls_at: float = 24.0
    falls_over: float = 4.0
    answers: tuple[float, ...] = (0.45, 0.2, 0.12, 0.09, 0.06, 0.05, 0.03)

    @property
    def days(self) -> int:
        """Days of the window."""
        return (self.last_day - self.first_day).days + 1

    def day(self, when: date) -> int:
        """Number of a date; the first day of the window is 0."""
        return (when - self.first_day).days

    def date(self, day: int) -> date:
        """The date of a day of the window."""
        return self.first_day + timedelta(days=day)

    def saving(self, idle_days: NDArray[np.integer] | int) -> NDArray[np.float64]:
        """How a contact loses its effect with the idle day, relative to day 0: a plateau that falls.

        Examples
        --------
        >>> MODEL.saving(np.array([0, 10, 15, 24, 30, 45])).round(2).tolist()
        [1.0, 0.98, 0.93, 0.65, 0.43, 0.3]
        """
        d = np.append(0.0, np.asarray(idle_days, dtype=np.float64))
        curve = self.floor + (1.0 - self.floor) / (1.0 + np.exp((d - self.falls_at) / self.falls_over))
        relative: NDArray[np.float64] = curve[1:] / curve[0]
        return relative


MODEL = Model()

SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        "steady": Scenario("steady", MODEL.last_day),
        "drift": Scenario("drift", date(2024, 6, 30)),
    }
)
