"""What `churn_reasons` is asked: settings, columns to split by and to weigh by, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from churnsurv.data.rule import days_of
from churnsurv.diagnosis.naming import listed
from churnsurv.diagnosis.reasons_answers import APART, Reasons
from churnsurv.diagnosis.reasons_models import check_formula
from churnsurv.diagnosis.reasons_words import unmapped
from churnsurv.errors import InputError, did_you_mean
from churnsurv.survival.formula import parse_formula
from churnsurv.survival.inputs import check_level, column_list
from churnsurv.survival.multiplicity import check_adjust
from churnsurv.tables import schema

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data.feedback import AskedChurns

__all__ = ["Settings", "check_models", "known_at_origin", "read_settings", "split_by", "weighed_on", "with_reasons"]

_ON = ("channel", "tenure", "stage", "n_investments")
#: Tables that get the columns of `by` beside their own.
_SPLIT = ("churn_reasons", "weighted_incidence", "cumulative_incidence")


@dataclass(frozen=True, slots=True)
class Settings:
    """What was asked for, checked."""

    within: int
    spells: str
    horizon: int | None
    models: bool | str
    adjust: str
    level: float


def read_settings(*, within: Any, spells: Any, horizon: Any, models: Any, adjust: str, level: float) -> Settings:
    """Check what needs no table."""
    if not isinstance(models, (bool, str)):
        raise InputError(f"models is True, False, or a formula; it is {models!r}.")
    if isinstance(models, str):
        parse_formula(models)
    if spells not in ("first", "all"):
        raise InputError(f"spells is 'first' or 'all'; it is {spells!r}.")
    return Settings(
        within=days_of(within, "within", least=0),
        spells=spells,
        horizon=None if horizon is None else days_of(horizon, "horizon", least=1),
        models=models,
        adjust=check_adjust(adjust),
        level=check_level(level),
    )


def with_reasons(rows: pd.DataFrame, reasons: Reasons) -> pd.DataFrame:
    """Spells with the reason of their churn, null where it is not known."""
    n_churned = int(rows["churned"].sum())
    if n_churned == 0:
        raise InputError("Nobody churned early enough for an answer: there is nothing to explain. Take a longer log.")
    kept = reasons.answers[reasons.answers["status"] == "counts"]
    if kept.empty:
        why = reasons.answers["status"].value_counts()
        said = ", ".join(f"{n:,} {status} ({APART[str(status)]})" for status, n in why.items()) or "there are none"
        codes = f" Codes without a reason: {unmapped(reasons)}." if len(reasons.unmapped) else ""
        if reasons.never:
            codes += f" Codes of the mapping that nobody gave: {listed([repr(each) for each in reasons.never])}."
        raise InputError(
            f"None of {n_churned:,} churns has a reason. Answers: {said}.{codes} Check mapping=, within= and the dates."
        )
    reason = np.full(len(rows), None, dtype=object)
    reason[kept["place"].to_numpy(dtype=np.int64)] = kept["reason"].to_numpy(dtype=object)
    return rows.assign(reason=reason)


def split_by(by: str | Sequence[str] | None, rows: pd.DataFrame, asked: AskedChurns) -> list[str]:
    """Return the columns that split the output."""
    there = _columns(rows, but=("tenure",))
    names = column_list("by", by)
    for name in names:
        if name not in there:
            raise InputError(
                f"by: there is no {name!r}.{did_you_mean(name, there)} Reasons are split by attributes of the users, "
                f"and {' and '.join(asked.features) or 'nothing else'} on the day of churn: {', '.join(there)}."
            )
        # a sole column "group" says what the column of that name says
        if list(names) != ["group"] and any(name in schema(table).names for table in _SPLIT):
            raise InputError(
                f"by: {name!r} is also the name of a column of the result. Rename it, or map it: columns={{'users': "
                f"{{'user_{name}': {name!r}}}}}."
            )
    return list(names)


def weighed_on(weights_on: str | Sequence[str] | None, rows: pd.DataFrame) -> list[str]:
    """Return the columns that the chance of an answer depends on."""
    there = _columns(rows)
    if weights_on is None:
        return [name for name in _ON if name in there]
    names = column_list("weights_on", weights_on) if weights_on else []
    for name in names:
        if name not in there:
            raise InputError(
                f"weights_on: there is no {name!r}.{did_you_mean(name, there)} There are {', '.join(there)}."
            )
    return list(dict.fromkeys(names))


def _columns(rows: pd.DataFrame, but: Sequence[str] = ()) -> list[str]:
    """Columns that describe a churned user."""
    taken = {*schema("spells").names, "place", "reason", "registered_at", *but}
    return [str(name) for name in rows.columns if name not in taken]


def known_at_origin(rows: pd.DataFrame, asked: AskedChurns) -> list[str]:
    """Return the columns of the spells that are known on their first day."""
    there = _columns(rows, but=("tenure", *asked.features))
    return [*there, "spell"] if rows["spell"].max() > 1 else there


def check_models(models: bool | str, rows: pd.DataFrame, asked: AskedChurns) -> None:
    """Raise where a formula cannot be that of what is known at the origin."""
    if isinstance(models, str):
        known = known_at_origin(rows, asked)
        neither = (*known, "user_id", "spell", "origin", "origin_known", "registered_at")
        later = [str(name) for name in rows.columns if name not in neither]
        check_formula(models, rows, known, later)
