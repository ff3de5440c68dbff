"""The tables of shocks: windows, users lost, how long, days, placebo dates, and untouched groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.diagnosis.monitor_groups import calendar_terms
from churnsurv.diagnosis.shock_events import Plan
from churnsurv.diagnosis.shock_fit import FEWEST_EXPECTED, Calendar, Fitted, lost_values, missed
from churnsurv.diagnosis.shock_placebo import rank_p_value
from churnsurv.diagnosis.shock_study import Against, Studied
from churnsurv.notes import note
from churnsurv.numerics.day_clusters import limits_of, p_value_of
from churnsurv.numerics.effect_length import effect_length
from churnsurv.survival.multiplicity import adjusted

__all__ = ["ALL_DAYS", "day_rows", "duration_rows", "effect_rows", "lost_rows", "placebo_rows", "untouched_rows"]

Floats: TypeAlias = NDArray[np.float64]
Row: TypeAlias = dict[str, Any]

ALL_DAYS = note("all days")
NAN = float("nan")


def date_of(day: int) -> np.datetime64:
    """A day of a table."""
    found: np.datetime64 = np.datetime64(day, "D").astype("datetime64[s]")
    return found


def _named(study: Studied) -> Row:
    return {"name": study.plan.event.name, "date": date_of(study.plan.date), "group": study.group.name}


def effect_rows(studies: Sequence[Studied], *, level: float, adjust: str) -> list[Row]:
    """One row for each shock, group, kind of users and window."""
    rows: list[Row] = []
    for study in studies:
        for users, fitted in (("living", study.living), ("churned", study.churned)):
            if fitted is not None:
                rows += _windows(study, users, fitted, level)
    for chosen in (True, False):
        mine = [row for row in rows if (row["window"] == ALL_DAYS) == chosen]
        found = adjusted(np.array([row["p_value"] for row in mine]), adjust)
        for row, p in zip(mine, found, strict=True):
            row["adjusted_p_value"] = float(p)
    return rows


def _windows(study: Studied, users: str, fitted: Fitted, level: float) -> list[Row]:
    found = fitted.windows()
    errors = fitted.std_errors(found)
    lower, upper = limits_of(found.estimate, errors, level=level, df=fitted.df)
    statistic = found.estimate / errors
    p_values = p_value_of(statistic, fitted.df)
    label = fitted.window_of_day()
    rows = []
    for place, (name, first, last) in enumerate(spans(study.plan)):
        days = fitted.used & (label >= 0 if name == ALL_DAYS else label == place)
        placebo = np.array([each.estimate[place] / each.std_error[place] for each in study.placebos])
        rows.append(
            _named(study)
            | {
                "kind": study.plan.event.kind,
                "users": users,
                "window": name,
                "first": date_of(study.plan.date + first),
                "last": date_of(study.plan.date + last),
                "at_risk": float(fitted.at_risk[days].sum(axis=1).mean()) if days.any() else NAN,
                "expected": float(fitted.expected[days].sum()),
                "observed": int(fitted.observed[days].sum()),
                "hazard_ratio": float(np.exp(found.estimate[place])),
                "lower": float(np.exp(lower[place])),
                "upper": float(np.exp(upper[place])),
                "p_value": float(p_values[place]),
                "placebo_p_value": rank_p_value(float(statistic[place]), placebo) if users == "living" else NAN,
            }
        )
    return rows


def spans(plan: Plan) -> list[tuple[str, int, int]]:
    """Name, first and last day since the date of each window, that of all days last."""
    named = [(window.name, window.first, window.last) for window in plan.windows]
    return [*named, (ALL_DAYS, 0, plan.ends - 1)]


def lost_rows(studies: Sequence[Studied], calendar: Calendar, *, idle_days: int, level: float) -> list[Row]:
    """Users lost that would not have been, and users brought back."""
    rows = []
    for study in studies:
        living = study.living
        values = lost_values(living, calendar, study.group.back)
        found = missed(living, np.stack([np.ones_like(values), values]))
        errors = living.std_errors(found)
        lower, upper = limits_of(found.estimate, errors, level=level, df=living.df)
        there = np.where(errors > 0, errors, np.nan)  # 0 where no user is at risk on the days judged.
        p_value = p_value_of(found.estimate / there, living.df)
        back = (NAN, NAN, NAN)
        if study.churned is not None:
            gone = missed(study.churned, -np.ones((1, *study.churned.predictor.shape)))
            ends = limits_of(gone.estimate, study.churned.std_errors(gone), level=level, df=study.churned.df)
            back = (float(gone.estimate[0]), float(ends[0][0]), float(ends[1][0]))
        rows.append(
            _named(study)
            | dict(zip(("missed", "lost"), found.estimate.tolist(), strict=True))
            | {"missed_lower": float(lower[0]), "missed_upper": float(upper[0])}
            | {"lower": float(lower[1]), "upper": float(upper[1]), "p_value": float(p_value[1])}
            | {"until": date_of(int(living.days[-1]) + idle_days)}
            | dict(zip(("brought_back", "back_lower", "back_upper"), back, strict=True))
        )
    return rows


def duration_rows(studies: Sequence[Studied], effects: Sequence[Mapping[str, Any]], *, level: float) -> list[Row]:
    """How long each effect lasted, where one was found."""
    rows = []
    for study in studies:
        mine = [
            row
            for row in effects
            if row["users"] == "living" and all(row[key] == value for key, value in _named(study).items())
        ]
        found = any(row["adjusted_p_value"] < 1 - level for row in mine)
        row = _named(study) | {"found": found, "lasting": False}
        theta, error = _by_day(study.living)
        known = np.flatnonzero(np.isfinite(theta))
        if found and known.size:  # an effect on all days together may have no single day that tells
            length = effect_length(theta, error**2, level=level)
            lasting = length.upper == int(known[-1]) + 1
            row |= {"days": length.days, "days_lower": length.lower, "days_upper": length.upper, "lasting": lasting}
        rows.append(row)
    return rows


def _by_day(fitted: Fitted) -> tuple[Floats, Floats]:
    found = fitted.shifts(np.arange(fitted.days.size), fitted.days.size)
    return found.estimate, fitted.std_errors(found)


def day_rows(studies: Sequence[Studied], calendar: Calendar, *, level: float) -> list[Row]:
    """Each day learnt from, and each day judged."""
    rows: list[Row] = []
    for study in studies:
        fitted = study.living
        theta, own = fitted.theta()
        after, error = _by_day(fitted)
        days = fitted.all_days
        estimate = np.concatenate([theta, after])
        errors = np.concatenate([np.sqrt(np.maximum(own + fitted.noise.of_a_day(), 0.25 * own)), error])
        expected = np.concatenate([fitted.before[0], fitted.expected])
        observed = np.concatenate([fitted.before[1], fitted.observed])
        estimate = np.where(expected >= FEWEST_EXPECTED, estimate, NAN)
        lower, upper = limits_of(estimate, errors, level=level, df=fitted.df)
        holiday = calendar_terms(days.astype("datetime64[D]"), calendar.holidays).holiday.sum(axis=1) > 0
        used = np.concatenate([np.ones(fitted.reference.size, dtype=bool), fitted.used])
        named = {"name": study.plan.event.name, "group": study.group.name}
        rows += [
            named
            | {
                "date": date_of(int(day)),
                "since": int(day) - study.plan.date,
                "expected": float(expected[i]),
                "observed": int(observed[i]),
                "hazard_ratio": float(np.exp(estimate[i])),
                "lower": float(np.exp(lower[i])),
                "upper": float(np.exp(upper[i])),
                "weekend": (int(day) + 3) % 7 >= 5,
                "holiday": bool(holiday[i]),
                "used": bool(used[i]),
            }
            for i, day in enumerate(days)
        ]
    return rows


def placebo_rows(studies: Sequence[Studied]) -> list[Row]:
    """What the same analysis finds on other days."""
    return [
        {
            "name": study.plan.event.name,
            "group": study.group.name,
            "date": date_of(each.date),
            "window": name,
            "hazard_ratio": float(np.exp(each.estimate[place])),
            "std_error": float(each.std_error[place]),
            "p_value": float(p_value_of(each.estimate[place] / each.std_error[place], each.df)),
        }
        for study in studies
        for each in study.placebos
        for place, (name, _, _) in enumerate(spans(study.plan))
    ]


def untouched_rows(studies: Sequence[Studied], against: Sequence[Against], *, level: float) -> list[Row]:
    """Hazard ratios of groups said to be untouched, and those of the others over theirs."""
    rows: list[Row] = []
    for study in studies:
        if study.group.calm:
            found = study.living.windows()
            own = Against(study.group.name, found.estimate, study.living.std_errors(found), study.living.df)
            rows += _compared(study.plan, own, "own", level)
    for each in against:
        rows += _compared(studies[0].plan, each, "against untouched", level)
    return rows


def _compared(plan: Plan, each: Against, measure: str, level: float) -> list[Row]:
    lower, upper = limits_of(each.estimate, each.std_error, level=level, df=each.df)
    p_value = p_value_of(each.estimate / each.std_error, each.df)
    return [
        {
            "name": plan.event.name,
            "group": each.name,
            "measure": measure,
            "window": name,
            "hazard_ratio": float(np.exp(each.estimate[place])),
            "lower": float(np.exp(lower[place])),
            "upper": float(np.exp(upper[place])),
            "p_value": float(p_value[place]),
        }
        for place, (name, _, _) in enumerate(spans(plan))
    ]
