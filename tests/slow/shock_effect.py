"""Effects of a date on the return hazard, on counts drawn from a known law whose days have shocks of their own.

Users go from idle day to idle day as the hazards say; what is special about a day moves all hazards of that day
together. So the days are clusters, and few of them follow a date.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

import churnsurv as ch
from churnsurv.diagnosis.calendar import Event
from churnsurv.diagnosis.shock import shock_effect
from churnsurv.diagnosis.shock_cells import ShockGroup
from churnsurv.diagnosis.shock_events import Plan, plan_at
from churnsurv.diagnosis.shock_fit import Calendar, Fitted, fit_group, lost_values, missed
from churnsurv.diagnosis.shock_placebo import placebo_dates, rank_p_value
from churnsurv.diagnosis.shock_study import against_untouched, studied
from churnsurv.numerics.day_clusters import limits_of, p_value_of
from churnsurv.numerics.effect_length import effect_length
from churnsurv.simulation import Shock

from .figures import LEVEL, Figure, Tally, replications, size

__all__ = ["EXPERIMENTS", "FULL", "World", "drawn_counts", "true_loss"]

IDLE_DAYS = 30
FIRST = (datetime.date(2024, 1, 1) - datetime.date(1970, 1, 1)).days
WEEK = np.array([0.05, 0.0, -0.02, 0.03, 0.08, -0.10, -0.04])
CUTS = (4, 8, 15)
BEFORE, AFTER = 56, 28


@dataclass(frozen=True)
class World:
    """A known law: `rate` sets how many users, `noise` the standard deviation of a day, `rho` how long it lasts."""

    rate: float = 60.0
    noise: float = 0.08
    rho: float = 0.0
    n_days: int = BEFORE + AFTER + 5
    date: int = BEFORE + 5
    ratios: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)

    @property
    def hazard(self) -> np.ndarray:
        """Cumulative hazard of a day by block and idle day: after an activity, and after registration."""
        d = np.arange(IDLE_DAYS)
        return np.stack([0.03 + 0.17 * np.exp(-(((d - 9) / 7) ** 2)), 0.05 + 0.10 * np.exp(-d / 6)])

    def log_ratio(self) -> np.ndarray:
        """Of each day, by the windows since the date."""
        found = np.zeros(self.n_days)
        edges = [0, *CUTS, AFTER]
        for ratio, first, last in zip(self.ratios, edges[:-1], edges[1:], strict=True):
            found[self.date + first : self.date + last] = np.log(ratio)
        return found

    def calendar(self) -> np.ndarray:
        """Of each day, by weekday."""
        return WEEK[(FIRST + 3 + np.arange(self.n_days)) % 7]

    def start(self) -> np.ndarray:
        """Users in balance at the end of the day before the first."""
        return _balance(self.rate, self.hazard)


def _balance(rate: float, hazard: np.ndarray) -> np.ndarray:
    """Users in balance by block and idle day, `rate` of whom register a day."""
    stay = np.exp(-np.column_stack([np.zeros((2, 1)), hazard[:, :-1].cumsum(axis=1)]))
    leaves = np.exp(-hazard.sum(axis=1))
    starts = rate * np.array([(1 - leaves[1]) / leaves[0], 1.0])
    return starts[:, None] * stay


def drawn_noise(world: World, rng: np.random.Generator) -> np.ndarray:
    """What is special about each day."""
    own = rng.normal(0, world.noise, world.n_days)
    for t in range(1, own.size if world.rho else 0):
        own[t] = world.rho * own[t - 1] + np.sqrt(1 - world.rho**2) * own[t]
    return own


def drawn_counts(
    world: World, rng: np.random.Generator, noise: np.ndarray | None = None, name: str = "all", *, calm: bool = False
) -> ShockGroup:
    """Draw counts day by day."""
    own = drawn_noise(world, rng) if noise is None else noise
    shift = own + world.log_ratio() + world.calendar()
    state = np.rint(world.start()).astype(np.int64)
    new = rng.poisson(world.rate, world.n_days)
    at_risk, returned = (np.zeros((2, world.n_days, IDLE_DAYS), dtype=np.int64) for _ in range(2))
    for t in range(world.n_days):
        back = rng.binomial(state, -np.expm1(-world.hazard * np.exp(shift[t])))
        at_risk[:, t], returned[:, t] = state, back
        left = state - back
        state = np.column_stack([[back.sum(), new[t]], left[:, :-1]])
    return ShockGroup(name, at_risk, returned, np.array([0, 0]), calm=calm)


def true_loss(world: World, state: np.ndarray) -> float:
    """Churns up to the end of the idle days after the last day judged, with less those without the effect.

    Carried forward from the state at the date, over what days have of their own on average (Gauss-Hermite).
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(21)
    moved = np.exp(world.noise * nodes)
    total = []
    for effect in (world.log_ratio(), np.zeros(world.n_days)):
        shift = np.concatenate([effect, np.zeros(IDLE_DAYS)])
        week = WEEK[(FIRST + 3 + np.arange(shift.size)) % 7]
        users, churned = state.astype(np.float64), 0.0
        for t in range(world.date, world.date + AFTER + IDLE_DAYS):
            mean = world.hazard[..., None] * moved * np.exp(shift[t] + week[t])
            back = users * (-np.expm1(-mean) @ (weights / weights.sum()))
            left = users - back
            churned += left[:, -1].sum()
            users = np.column_stack([[back.sum(), world.rate if t < world.date + AFTER else 0.0], left[:, :-1]])
        total.append(churned)
    return total[0] - total[1]


def _plan(world: World) -> Plan:
    day = FIRST + world.date
    date = datetime.date(1970, 1, 1) + datetime.timedelta(days=day)
    plan = plan_at(day, Event(date, date, "news"), day + AFTER - 1, (), first=FIRST, before=BEFORE, cuts=CUTS)
    assert plan is not None
    return plan


def fitted_world(world: World, rng: np.random.Generator) -> tuple[ShockGroup, Fitted]:
    """Draw and fit."""
    group = drawn_counts(world, rng)
    found = fit_group(group, _plan(world), Calendar((), True, frozenset()), FIRST, slice(0, IDLE_DAYS))
    assert found is not None
    return group, found


def _sandwich(fitted: Fitted, label: np.ndarray, n_labels: int) -> np.ndarray:
    """Standard errors of a sandwich with days as clusters, G / (G - 1) included: what packages offer."""
    found = fitted.shifts(label, n_labels)
    alone = fitted.shifts(np.arange(fitted.days.size), fitted.days.size).estimate
    left = np.concatenate([fitted.theta()[0], alone - np.where(label >= 0, found.estimate[np.maximum(label, 0)], 0.0)])
    n = left.size
    return np.sqrt(n / (n - 1) * ((found.exposure * left) ** 2).sum(axis=1))


WORLDS = {
    "60 register a day, days vary by 8 %": World(ratios=(0.7, 0.85, 1.0, 1.1)),
    "600 register a day, days vary by 15 %": World(rate=600, noise=0.15, ratios=(0.7, 0.85, 1.0, 1.1)),
    "6 register a day, days vary by 8 %": World(rate=6, ratios=(0.7, 0.85, 1.0, 1.1)),
    "60 register a day, days do not vary": World(noise=0.0, ratios=(1.5, 1.2, 1.0, 1.0)),
}


def shock_sizes(n: int) -> list[Figure]:
    """Hazard ratios of four windows and their mean, users lost, returns missed: limits and standard errors."""
    figures = []
    for name, world in WORLDS.items():
        truth = np.log(np.array(world.ratios))
        days = np.diff([0, *CUTS, AFTER])
        tallies = [Tally(each) for each in (*truth, float(truth @ days / days.sum()))]
        lost = Tally(0.0)
        for rng in replications(f"shock {name}", n):
            group, fitted = fitted_world(world, rng)
            found = fitted.windows()
            errors = fitted.std_errors(found)
            limits = limits_of(found.estimate, errors, level=LEVEL, df=fitted.df)
            for tally, *row in zip(tallies, found.estimate, *limits, errors, strict=True):
                tally.take(*row)
            _take_loss(lost, world, group, fitted)
        labels = [
            f"window {k + 1} ({d} days, ratio {r:.2f})" for k, (d, r) in enumerate(zip(days, world.ratios, strict=True))
        ]
        for tally, label in zip(tallies, [*labels, "all days"], strict=True):
            figures.append(tally.coverage(f"{name}, {label}", gated=True))
            figures.append(tally.std_error(f"{name}, {label}", gated=False))
            figures.append(tally.bias(f"{name}, {label}"))
        figures += [lost.coverage(f"{name}, users lost", gated=True), lost.bias(f"{name}, users lost")]
    return figures


def _take_loss(tally: Tally, world: World, group: ShockGroup, fitted: Fitted) -> None:
    """The error of the users lost: the truth is that of the users who are there on the date."""
    values = lost_values(fitted, Calendar((), True, frozenset()), group.back)
    found = missed(fitted, values[None])
    truth = true_loss(world, group.at_risk[:, world.date])
    error = fitted.std_errors(found)
    lower, upper = limits_of(found.estimate - truth, error, level=LEVEL, df=fitted.df)
    tally.take(float(found.estimate[0] - truth), float(lower[0]), float(upper[0]), float(error[0]))


def shock_variances(n: int) -> list[Figure]:
    """Which variance holds where 1, 2, 4, 7 or 28 days follow the date: 60 register a day, days vary by 8 %."""
    lengths = (1, 2, 4, 7, 28)
    world = World()
    tallies = {
        (kind, m): Tally(0.0) for kind in ("chance alone", "sandwich over days", "days of the past") for m in lengths
    }
    for rng in replications("shock variances", n):
        _, fitted = fitted_world(world, rng)
        for m in lengths:
            label = np.where(np.arange(AFTER) < m, 0, -1)
            found = fitted.shifts(label, 1)
            errors = {
                "chance alone": np.sqrt(np.diag(found.chance)),
                "sandwich over days": _sandwich(fitted, label, 1),
                "days of the past": fitted.std_errors(found),
            }
            for kind, error in errors.items():
                lower, upper = limits_of(found.estimate, error, level=LEVEL, df=fitted.df)
                tallies[kind, m].take(float(found.estimate[0]), float(lower[0]), float(upper[0]), float(error[0]))
    return [
        tally.coverage(f"{m} day{'s' * (m > 1)}, {kind}", gated=kind == "days of the past")
        for (kind, m), tally in tallies.items()
    ]


def shock_placebos(n: int) -> list[Figure]:
    """No effect: tests of the date itself, and its rank among 19 placebo dates, in steps of a week."""
    figures = []
    for rho in (0.0, 0.6):
        world = World(rho=rho, n_days=210 + AFTER, date=210)
        plan, calendar = _plan(world), Calendar((), True, frozenset())
        stand_ins = placebo_dates(plan, (), first=FIRST, before=BEFORE, cuts=CUTS, n=19)
        p_values: dict[str, list[float]] = {}
        for rng in replications(f"shock placebo {rho}", n):
            group = drawn_counts(world, rng)
            found = []
            for each in (plan, *stand_ins):
                fitted = fit_group(group, each, calendar, FIRST, slice(0, IDLE_DAYS))
                assert fitted is not None
                windows = fitted.windows()
                found.append(windows.estimate / fitted.std_errors(windows))
            statistic = np.array(found)
            for place, window in ((0, "days 0-3"), (-1, "all days")):
                p = p_value_of(statistic[:, place], fitted.df)
                p_values.setdefault(f"{window}, of the date", []).append(float(p[0]))
                p_values.setdefault(f"{window}, of placebo dates", []).extend(p[1:].tolist())
                rank = rank_p_value(float(statistic[0, place]), statistic[1:, place])
                p_values.setdefault(f"{window}, rank among placebo dates", []).append(rank)
        where = "days hang together (.6)" if rho else "days of their own"
        for case, p in p_values.items():
            figures.append(size(f"{where}, {case}", p, gated=rho == 0.0))
    return figures


def shock_untouched(n: int) -> list[Figure]:
    """Groups that share what is special about days (15 %): alone, and against the untouched one."""
    world = World(rate=60, noise=0.15, ratios=(0.8, 0.8, 1.0, 1.0))
    calm = World(rate=60, noise=0.15)
    cases = {"alone, days 0-3": (0, "own"), "against untouched, days 0-3": (0, "difference"),
             "against untouched, days 8-14": (2, "difference")}  # fmt: skip
    tallies = {case: Tally(float(np.log(world.ratios[place]))) for case, (place, _) in cases.items()}
    for rng in replications("shock untouched", n):
        noise = drawn_noise(world, rng)
        groups = [drawn_counts(world, rng, noise, "touched"), drawn_counts(calm, rng, noise, "untouched", calm=True)]
        calendar = Calendar((), True, frozenset())
        found = [studied(_plan(world), group, (), calendar, FIRST, IDLE_DAYS) for group in groups]
        studies = [each for each in found if each is not None]
        (against,) = against_untouched(studies, calendar, FIRST, IDLE_DAYS)
        own = studies[0].living.windows()
        sides = {"own": (own.estimate, studies[0].living.std_errors(own)),
                 "difference": (against.estimate, against.std_error)}  # fmt: skip
        for case, (place, side) in cases.items():
            estimate, error = sides[side][0][place], sides[side][1][place]
            lower, upper = limits_of(estimate, error, level=LEVEL, df=against.df)
            tallies[case].take(float(estimate), float(lower), float(upper), float(error))
    figures = [tally.coverage(case, gated=True) for case, tally in tallies.items()]
    widths = [float(np.mean(tally.std_errors)) for tally in tallies.values()]
    return [
        *figures,
        Figure("against untouched over alone, mean standard error", "ratio", widths[1] / widths[0], n, None),
    ]


def shock_lengths(n: int) -> list[Figure]:
    """How long: an effect of 8 days, 60 register a day, days vary by 8 %."""
    figures = []
    for ratio in (0.7, 0.5):
        world = World(ratios=(ratio, ratio, 1.0, 1.0))
        held, days = [], []
        for rng in replications(f"shock length {ratio}", n):
            _, fitted = fitted_world(world, rng)
            found = fitted.shifts(np.arange(AFTER), AFTER)
            length = effect_length(found.estimate, fitted.std_errors(found) ** 2, level=LEVEL)
            held.append(length.lower <= 8 <= length.upper)
            days.append(length.days)
        figures.append(
            Figure(f"ratio {ratio}, 8 days within the limits", "coverage", float(np.mean(held)), n, (0.935, 1.0))
        )
        figures.append(Figure(f"ratio {ratio}, likeliest number of days", "mean", float(np.mean(days)), n, None))
    return figures


def shock_app(n: int) -> list[Figure]:
    """The simulated app, with and without a week of news under one seed: churns by the day that users lost counts to.

    8,000 users, rate of leaving for policy x 30 for a week, judged for 42 days.
    """
    figures = []
    news = [Shock(datetime.date(2024, 9, 2), datetime.date(2024, 9, 8), factor=30.0)]
    held: dict[str, list[bool]] = {"all": [], "active": []}
    ratio: dict[str, list[float]] = {"all": [], "active": []}
    for seed in range(n):
        apps = [ch.simulate_app(8_000, seed=seed, shocks=shocks, campaigns=()) for shocks in (news, [])]
        for reaches in held:
            found = shock_effect(
                apps[0].log, "2024-09-02", after=42, reaches=reaches, placebo=False, churned=0
            ).lost.iloc[0]
            true = np.subtract(*(_churns(app, found["until"]) for app in apps))
            held[reaches].append(found["lower"] <= true <= found["upper"])
            ratio[reaches].append(found["lost"] / true)
    for reaches, each in held.items():
        figures.append(
            Figure(
                f"reaches {reaches!r}: true loss within limits", "coverage", float(np.mean(each)), len(each), (0.9, 1.0)
            )
        )
        figures.append(
            Figure(
                f"reaches {reaches!r}: users lost over truth", "ratio", float(np.mean(ratio[reaches])), len(each), None
            )
        )
    return figures


def _churns(app: ch.SimulatedApp, until: pd.Timestamp) -> int:
    spells = app.log.churn_spells(spells="all").table
    days = spells["end_date"]
    return int((spells["churned"] & (days >= pd.Timestamp("2024-09-02")) & (days <= until)).sum())


EXPERIMENTS: dict[str, Callable[[int], list[Figure]]] = {
    "shock_sizes": shock_sizes,
    "shock_variances": shock_variances,
    "shock_placebos": shock_placebos,
    "shock_untouched": shock_untouched,
    "shock_lengths": shock_lengths,
    "shock_app": shock_app,
}
FULL = {"shock_app": 20}
