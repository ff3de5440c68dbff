"""Campaigns that nobody drew lots for, users whom a contact reached, and second contacts: coverage on known truth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import statsmodels.api as sm
from scipy.special import ndtri

from churnsurv.numerics.clone_censor import policy_risks
from churnsurv.numerics.complier import complier_effect_of
from churnsurv.numerics.doubly_robust import by_regression_and_weights, by_weights
from churnsurv.recall.contact_chance import contact_chance

from .figures import LEVEL, Figure, Tally, replications

__all__ = ["EXPERIMENTS"]

Rng = np.random.Generator
Z = float(ndtri((1 + LEVEL) / 2))
DAYS, DAY, USERS, RESAMPLES = 20, 5, 1_000, 60


def silent_users(rng: Rng) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Half of the users return three times as often; a second contact doubles the hazard, and goes by it too."""
    x = (rng.random(USERS) < 0.5).astype(float)
    hazard = np.where(x == 1, 0.06, 0.02)
    time, returned, contact = np.full(USERS, DAYS), np.zeros(USERS, dtype=bool), np.zeros(USERS, dtype=np.int64)
    for day in range(1, DAYS + 1):
        silent = ~returned
        chance = {3: np.where(x == 1, 0.06, 0.02), DAY: np.where(x == 1, 0.75, 0.2)}.get(day, np.zeros(USERS))
        asked = silent & (contact == 0) & (rng.random(USERS) < chance)
        contact[asked] = day
        now = silent & (rng.random(USERS) < hazard * np.where(contact > 0, 2.0, 1.0))
        time[now], returned[now] = day, True
    return time, returned, contact, x


def second_contacts(n: int) -> list[Figure]:
    """Share returned with a second contact on day 5 less that without: 1,000 users, chances fitted, 60 resamples."""
    hazard = np.array([0.02, 0.06])
    without = (1 - (1 - hazard) ** DAYS).mean()
    second = (1 - (1 - hazard) ** (DAY - 1) * (1 - 2 * hazard) ** (DAYS - DAY + 1)).mean()
    tallies = {name: Tally(second - without) for name in ("clone-censor-weight", "as treated")}
    policies = (None, DAY)
    for rng in replications("second contacts", n):
        time, returned, contact, x = silent_users(rng)
        chance = contact_chance(time, contact, {"x": x}, day=DAY, horizon=DAYS)
        ends = policy_risks(time, returned, contact, chance.by_day(), policies)[:, -1]
        drawn = []
        for _ in range(RESAMPLES):
            count = rng.multinomial(USERS, np.full(USERS, 1 / USERS)).astype(float)
            drawn.append(policy_risks(time, returned, contact, chance.by_day(count), policies, weights=count)[:, -1])
        error = float(np.std(np.diff(drawn, axis=1), ddof=1))
        found = float(ends[1] - ends[0])
        tallies["clone-censor-weight"].take(found, found - Z * error, found + Z * error, error)
        groups = [returned[contact == DAY], returned[contact == 0]]
        naive = float(groups[0].mean() - groups[1].mean())
        wide = Z * float(np.sqrt(sum(each.var() / each.size for each in groups)))
        tallies["as treated"].take(naive, naive - wide, naive + wide)
    right, wrong = tallies.values()
    return [
        right.coverage("clone-censor-weight", gated=True),
        right.std_error("clone-censor-weight", gated=True),
        right.bias("clone-censor-weight"),
        wrong.coverage("contacted on day 5 against never contacted", gated=False),
    ]


def either_model_wrong(n: int) -> list[Figure]:
    """The effect of contacts that went by x, 600 users: weights and doubly robust, with a right and a wrong model."""
    tallies: dict[str, Tally] = {}
    for rng in replications("either model wrong", n):
        x = rng.normal(size=600)
        treated = rng.random(600) < 1 / (1 + np.exp(-(0.8 * x - 0.3)))
        y = 1 + x + 0.5 * treated + rng.normal(size=600)
        right, wrong = (np.column_stack([np.ones(600), each]) for each in (x, np.cos(3 * x)))
        bent = y + x**2 * np.where(treated, 1.0, 0.5)
        chances = [
            sm.GLM(treated.astype(float), m, family=sm.families.Binomial()).fit().predict(m) for m in (right, wrong)
        ]
        robust = by_regression_and_weights
        for case, truth, found in (
            ("weights, right chances", 0.5, by_weights(y[:, None], treated, right, chances[0])),
            ("weights, wrong chances", 0.5, by_weights(y[:, None], treated, wrong, chances[1])),
            ("doubly robust, both right", 0.5, robust(y[:, None], treated, right, chances[0])),
            ("doubly robust, wrong chances", 0.5, robust(y[:, None], treated, wrong, chances[1], right)),
            ("doubly robust, wrong regression", 1.0, robust(bent[:, None], treated, right, chances[0], wrong)),
        ):
            difference = float(found.mean[1, 0] - found.mean[0, 0])
            error = float(np.sqrt(((found.influence[:, 1, 0] - found.influence[:, 0, 0]) ** 2).sum()))
            tallies.setdefault(case, Tally(truth)).take(
                difference, difference - Z * error, difference + Z * error, error
            )
    return [tally.coverage(case, gated=case != "weights, wrong chances") for case, tally in tallies.items()]


def few_reached(n: int) -> list[Figure]:
    """The effect of .3 on those reached, 400 users an arm of whom one in two, five or twelve is reached."""
    tallies = {share: [Tally(0.3), Tally(0.3)] for share in (2, 5, 12)}
    for rng in replications("few reached", n):
        for share, (sets, symmetric) in tallies.items():
            reached = rng.random(400) < 1 / share
            treated = rng.random(400) < np.where(reached, 0.5, 0.2)
            control = rng.random(400) < 0.2
            found = complier_effect_of(
                float(treated.mean() - control.mean()),
                float(reached.mean()),
                variance_y=float(treated.var() + control.var()) / 400,
                variance_d=float(reached.var()) / 400,
                covariance=float(np.mean((treated - treated.mean()) * (reached - reached.mean()))) / 400,
                critical=Z,
            )
            sets.take(found.estimate, found.lower, found.upper)
            reach = Z * found.std_error
            symmetric.take(found.estimate, found.estimate - reach, found.estimate + reach)
    figures = []
    for share, (sets, symmetric) in tallies.items():
        figures += [sets.coverage(f"one in {share} reached", gated=True),
                    symmetric.coverage(f"one in {share} reached, symmetric", gated=False)]  # fmt: skip
    return figures


EXPERIMENTS: dict[str, Callable[[int], list[Figure]]] = {
    "second_contacts": second_contacts,
    "either_model_wrong": either_model_wrong,
    "few_reached": few_reached,
}
