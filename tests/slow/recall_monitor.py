"""Monitored campaigns: how often they cross where there is no lift, what limits hold, whether plans come true."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

import churnsurv as ch
from churnsurv.numerics.campaign_power import TwoCurves, two_curves
from churnsurv.numerics.e_process import DailyCells, EProcess, daily_cells, e_process
from churnsurv.recall.power import campaign_power

from .figures import LEVEL, Figure, replications

__all__ = ["EXPERIMENTS"]

Rng = np.random.Generator

HORIZON = 30
CROSSED = np.log(1 / (1 - LEVEL))
# 5 % and three simulation errors of 2,000 replications; limits on all days together may hold more often than they say
AT_MOST, AT_LEAST = (0.0, 0.0646), (0.935, 1.0)
POWER = (0.77, 0.83)
BASE = 0.15 * (1 - np.exp(-np.arange(1, HORIZON + 1) / 8))


def null_campaign(rng: Rng, *, per_day: int = 100, days: int = 100) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Day of assignment, arm and day of return of users of two kinds, on whom the contact has no effect at all.

    The treated share rises from 20 to 80 %. Users return at once or hardly ever, less at weekends, and more often the
    later they are assigned.
    """
    assigned = np.repeat(np.arange(days), per_day)
    treated = rng.random(assigned.size) < np.linspace(0.2, 0.8, days)[assigned]
    u = np.arange(HORIZON)
    kind = np.where(rng.random(assigned.size) < 0.5, 0.5, 1.5)
    weekend = np.where((assigned[:, None] + u) % 7 >= 5, 0.6, 1.2)
    hazard = kind[:, None] * weekend * (0.5 + assigned[:, None] / days) * (0.1 * np.exp(-u / 5) + 0.004)
    back = rng.random(hazard.shape) < hazard
    return assigned, treated, np.where(back.any(axis=1), back.argmax(axis=1) + 1, 0)


def evidence(assigned: np.ndarray, treated: np.ndarray, time: np.ndarray, days: int = 100) -> EProcess:
    one = np.ones_like(assigned)
    cells = daily_cells(assigned, 0 * one, treated, time, one, until=days - 1, horizon=HORIZON)
    return e_process(cells, first=0, n_days=days, alpha=1 - LEVEL)


def pooled(assigned: np.ndarray, treated: np.ndarray, time: np.ndarray, days: int = 100) -> EProcess:
    """What must not be done: one risk set for a calendar day, of users of all days of assignment."""
    last = assigned + np.where(time > 0, time, HORIZON) - 1
    steps = []
    for arm in (treated, ~treated):
        come = np.cumsum(np.bincount(assigned[arm], minlength=days + HORIZON))
        gone = np.append(0, np.cumsum(np.bincount(last[arm], minlength=days + HORIZON)))[:-1]
        back = np.bincount(last[arm & (time > 0)], minlength=days + HORIZON)
        steps.append(((come - gone)[:days], back[:days]))
    (n1, y1), (n0, y0) = steps
    return e_process(DailyCells(np.arange(days), n1, n0, y1, y0), first=0, n_days=days, alpha=1 - LEVEL)


def monitored_campaigns_no_lift(n: int) -> list[Figure]:
    """A hundred looks at campaigns without effect whose treated share rises from 20 to 80 %: the share that cross."""
    crossed: dict[str, list[bool]] = {}
    for rng in replications("monitored without lift", n):
        campaign = null_campaign(rng)
        found, wrong = evidence(*campaign), pooled(*campaign)
        for case, hit in (
            ("cells by day of assignment and calendar day", found.log_e.max() >= CROSSED),
            ("the same: a lift is said", (found.lower > 0).any()),
            ("the same, looked at on the last day alone", found.log_e[-1] >= CROSSED),
            ("one risk set a calendar day, all days of assignment together", wrong.log_e.max() >= CROSSED),
        ):
            crossed.setdefault(case, []).append(bool(hit))
    return [
        Figure(case, "size", float(np.mean(hits)), n, None if "together" in case else AT_MOST)
        for case, hits in crossed.items()
    ]


def drawn(curves: TwoCurves, rng: Rng, *, n: int, per_day: int, holdout: float) -> EProcess:
    """A campaign whose arms return by two curves, followed to its last day."""
    days = int(np.ceil(n / per_day))
    size = np.full(days, per_day)
    size[-1] = n - per_day * (days - 1)
    treated = rng.binomial(size, 1 - holdout)
    columns = []
    for survival, users in ((curves.arm, treated), (curves.control, size - treated)):
        chance = -np.diff(np.concatenate([[1.0], survival, [0.0]]))
        back = rng.multinomial(users, chance)[:, :HORIZON]
        columns.append((users[:, None] - np.cumsum(back, axis=1) + back, back))
    (n1, y1), (n0, y0) = columns
    day = np.arange(days)[:, None] + np.arange(HORIZON)
    cells = DailyCells(*(each.ravel() for each in (day, n1, n0, y1, y0)))
    return e_process(cells, first=0, n_days=days + HORIZON - 1, alpha=1 - LEVEL)


def monitored_limits(n: int) -> list[Figure]:
    """Campaigns with one odds ratio on all days: the share whose limits hold it on every day, and on the last one."""
    figures = []
    cases = {"odds ratio 1.3, hold-out 10 %": (1.3, 0.1), "odds ratio 0.8, hold-out 50 %": (0.8, 0.5)}
    hazard = 0.06 * np.exp(-np.arange(HORIZON) / 6) + 0.003
    for case, (ratio, holdout) in cases.items():
        odds = hazard / (1 - hazard) * ratio
        curves = TwoCurves(np.cumprod(1 - hazard), np.cumprod(1 / (1 + odds)), ratio)
        every, last, width = [], [], []
        for rng in replications(case, n):
            found = drawn(curves, rng, n=4000, per_day=100, holdout=holdout)
            holds = (found.lower <= np.log(ratio)) & (np.log(ratio) <= found.upper)
            every.append(holds.all())
            last.append(holds[-1])
            width.append(found.upper[-1] - found.lower[-1])
        figures += [
            Figure(f"{case}: on every day", "coverage", float(np.mean(every)), n, AT_LEAST),
            Figure(f"{case}: on the last day", "coverage", float(np.mean(last)), n, AT_LEAST),
            Figure(f"{case}: log width on the last day", "mean", float(np.mean(width)), n, None),
        ]
    return figures


def planned_campaigns(n: int) -> list[Figure]:
    """Campaigns of the size that was planned for a power of 80 %: the share that shows its lift."""
    figures = []
    cases = (("return_probability", 0.03), ("hazard_ratio", 1.3), ("days_to_return", -0.6))
    for measure, lift in cases:
        for holdout in (0.1, 0.5):
            row = campaign_power(base=BASE, lift=lift, measure=measure, holdout=holdout).table.iloc[0]
            curves = two_curves(1 - BASE, measure=measure, lift=lift)
            case = f"{measure}, hold-out {100 * holdout:g} %, {int(row['n_users']):,} users"
            shown = [_shows(measure, curves, row, rng) for rng in replications(case, n)]
            figures.append(Figure(case, "power", float(np.mean(shown)), n, POWER))
    for lift, holdout, per_day in ((1.4, 0.5, 100), (1.4, 0.1, 300)):
        plan = campaign_power(
            base=BASE, lift=lift, measure="hazard_ratio", holdout=holdout, accrual_per_day=per_day, monitor=True
        ).table.iloc[0]
        curves = two_curves(1 - BASE, measure="hazard_ratio", lift=lift)
        case = f"looked at every day, hold-out {100 * holdout:g} %, at most {int(plan['monitored_users']):,} users"
        hits, days = [], []
        for rng in replications(case, n):
            found = drawn(curves, rng, n=int(plan["monitored_users"]), per_day=per_day, holdout=holdout)
            crossed = np.append(found.log_e >= CROSSED, True)
            hits.append(bool(crossed[:-1].any()))
            days.append(min(int(crossed.argmax()) + 1, found.log_e.size))
        ended = float(np.mean(days)) / plan["expected_days"]
        figures += [
            Figure(case, "power", float(np.mean(hits)), n, POWER),
            Figure(f"{case}: mean day of the end over expected_days", "ratio", ended, n, None),
        ]
    return figures


def _shows(measure: str, curves: TwoCurves, row: pd.Series, rng: Rng) -> bool:
    """Whether a campaign that is drawn, all followed to the horizon, is significant at 5 %."""
    tables = []
    for name, survival, users in (("a", curves.control, row["n_control"]), ("b", curves.arm, row["n_arm"])):
        day = rng.multinomial(int(users), -np.diff(np.concatenate([[1.0], survival, [0.0]])))
        rows = pd.DataFrame({"time": np.arange(1, HORIZON + 2), "n": day, "arm": name, "back": True})
        rows.loc[HORIZON, ["time", "back"]] = [HORIZON, False]
        tables.append(rows[rows["n"] > 0])
    data = pd.concat(tables, ignore_index=True)
    names = {"duration": "time", "event": "back", "weights": "n", "weights_kind": "frequency"}
    if measure == "hazard_ratio":
        return bool(ch.cox("arm", data, ties="grouped", **names).table["p_value"].iloc[0] < 1 - LEVEL)
    if measure == "days_to_return":
        return bool(ch.rmst_difference(data, by="arm", horizon=HORIZON, **names).table["p_value"].iloc[0] < 1 - LEVEL)
    last = ch.kaplan_meier(data, by="arm", **names).at([HORIZON])
    z = last["survival"].diff().iloc[1] / np.sqrt((last["std_error"] ** 2).sum())
    return bool(abs(z) > 1.959964)


EXPERIMENTS: dict[str, Callable[[int], list[Figure]]] = {
    "monitored_campaigns_no_lift": monitored_campaigns_no_lift,
    "monitored_limits": monitored_limits,
    "planned_campaigns": planned_campaigns,
}
