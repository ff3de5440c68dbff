"""What goes with each reason: cause-specific Cox and Fine-Gray models, answers weighted for who gives them.

Where reasons are known for a part of the churns, a model that takes the others for censored finds too low a hazard, and
too low most of all where few answer: a channel whose users seldom pick up the phone would look safe from every reason.
So churns without a reason are left out, and one with a reason stands for 1 / chance churns (complete cases weighted by
their inverse chance); spells that did not end count once. Robust variance, with the weights as if they were known.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.diagnosis.naming import listed, said_by
from churnsurv.diagnosis.rows import frame_of
from churnsurv.errors import ChurnsurvError, ChurnsurvWarning, InputError, did_you_mean
from churnsurv.notes import note
from churnsurv.survival.cox import cox
from churnsurv.survival.fine_gray import fine_gray
from churnsurv.survival.formula import evaluate, parse_formula
from churnsurv.survival.multiplicity import adjusted

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data import ActivityLog
    from churnsurv.survival.cox_fit import CoxFit
    from churnsurv.survival.fine_gray_fit import FineGrayFit

__all__ = ["FEWEST", "ReasonModels", "check_formula", "reason_models"]

Floats: TypeAlias = NDArray[np.float64]
Pair: TypeAlias = "tuple[CoxFit, FineGrayFit]"

#: Known churns of a reason for a coefficient.
FEWEST = 10
#: Of the spells, for the outcome.
_SPELL = ("user_id", "spell", "origin", "entry", "duration", "churned", "reason")


@dataclass(frozen=True, slots=True, eq=False)
class ReasonModels:
    """Fits by reason.

    Attributes
    ----------
    at_origin, later : mapping of str to (CoxFit, FineGrayFit)
        From the first day of the spell on, by what is known then; and from a later day on, by behaviour until an
        earlier one.
    table : DataFrame
        Schema "reason_models".
    notes : tuple of str
    """

    at_origin: Mapping[str, Pair]
    later: Mapping[str, Pair]
    table: pd.DataFrame
    notes: tuple[str, ...]


def check_formula(formula: str, spells: pd.DataFrame, known: Sequence[str], later: Sequence[str]) -> None:
    """Raise where a formula of what is known at the origin is none.

    Parameters
    ----------
    formula : str
    spells : DataFrame
    known : sequence of str
        Columns that are known at the origin.
    later : sequence of str
        Columns of the spells that are known of the churned alone, or on the day of churn.

    Raises
    ------
    InputError
        If it names another column (one that is known on the day of churn would explain churn by itself), or cannot be
        computed.
    """
    parsed = parse_formula(formula)
    for name in parsed.variables:
        if name in later:
            raise InputError(
                f"models: {name!r} is known on the day of churn, not on the first day of the spell: it would explain "
                f"churn by itself. Known from the first day on are {', '.join(known)}. For behaviour leave models=True "
                "and see later_models."
            )
        if name not in known:
            raise InputError(f"models: there is no {name!r}.{did_you_mean(name, known)} There are {', '.join(known)}.")
    for expression in dict.fromkeys(each for term in parsed.terms for each in term):
        evaluate(expression, spells, {})


def reason_models(
    log: ActivityLog,
    spells: pd.DataFrame,
    weight: Floats,
    labels: Sequence[str],
    *,
    known: Sequence[str],
    behaviour: Sequence[str],
    formula: str | None,
    kind: str,
    adjust: str,
    level: float,
) -> ReasonModels:
    """Fit both models of each reason.

    Parameters
    ----------
    log : ActivityLog
    spells : DataFrame
        Spells with `reason`.
    weight : (n,) float64
        Of each spell: 1 where it did not end, 1 / chance where the reason is known, 0 where it is not.
    labels : sequence of str
    known : sequence of str
        Columns that are known at the origin; no others are seen by the models.
    behaviour : sequence of str
        Of stage and n_investments those that the tables can answer.
    formula : str or None
        Of what is known at the origin; the channel by default.
    kind : {"first", "all"}
        Which spells these are.
    """
    rows = spells[[*_SPELL, *(name for name in known if name not in _SPELL)]]
    weights = "weight"
    while weights in rows.columns:
        weights = f"_{weights}"
    rows = rows.assign(**{weights: weight})[weight > 0]
    named = formula or ("channel" if "channel" in known and _varies(rows, "channel") else "")
    found: list[dict[str, Any]] = []
    notes: list[str] = []
    how: dict[str, Any] = {"weights": weights, "kind": kind, "level": level}
    at_origin = _fits(rows, named, labels, found, notes, since=0, **how) if named else {}
    later: Mapping[str, Pair] = {}
    if formula is None and behaviour:
        behind, term, since = _behaviour(log, rows, behaviour, kind, notes)
        if term:
            joined = f"{named} + {term}" if named and _varies(behind, "channel") else term
            later = _fits(behind, joined, labels, found, notes, since=since, **how)
    table = frame_of("reason_models", found)
    table["adjusted_p_value"] = adjusted(table["p_value"].to_numpy(dtype=np.float64), adjust)
    return ReasonModels(at_origin, later, table, tuple(dict.fromkeys(notes)))


def _varies(rows: pd.DataFrame, name: str) -> bool:
    return name in rows.columns and len(rows[name].unique()) > 1


def _behaviour(
    log: ActivityLog, rows: pd.DataFrame, names: Sequence[str], kind: str, notes: list[str]
) -> tuple[pd.DataFrame, str, int]:
    """Spells that reached twice the idle days, with stage and number of investments by the idle days."""
    idle = log.rule.idle_days
    try:
        known = log.churn_spells(spells=kind, features=list(names), baseline_day=idle).table
    except ChurnsurvError as error:
        notes.append(note("Models by behaviour are left out: {fault}", fault=str(error)))
        return rows, "", 2 * idle
    columns = ["user_id", "spell", *names]
    behind = rows.merge(known[columns], on=["user_id", "spell"], how="inner", validate="1:1")
    behind = behind.assign(entry=np.maximum(behind["entry"], 2 * idle))
    behind = behind[behind["duration"] > behind["entry"]].reset_index(drop=True)
    for name in names:
        if hasattr(behind[name], "cat"):
            behind[name] = behind[name].cat.remove_unused_categories()
    terms = {"stage": "stage", "n_investments": "log1p(n_investments)"}
    return behind, " + ".join(terms[name] for name in names if _varies(behind, name)), 2 * idle


def _fits(
    rows: pd.DataFrame,
    formula: str,
    labels: Sequence[str],
    found: list[dict[str, Any]],
    notes: list[str],
    *,
    since: int,
    weights: str,
    kind: str,
    level: float,
) -> Mapping[str, Pair]:
    """Fit the reasons that have enough churns, add their rows and what there is to say."""
    fits: dict[str, Pair] = {}
    few: list[str] = []
    cluster = "user_id" if kind == "all" else None
    entry = "entry" if (rows["entry"] > 0).any() else None
    for reason in labels:
        n = int((rows["churned"] & (rows["reason"] == reason)).sum())
        if n < FEWEST:
            few.append(note("{reason} ({n})", reason=reason, n=n))
            continue
        asked: dict[str, Any] = {
            "cause": "reason", "cause_of_interest": reason, "weights": weights, "weights_kind": "sampling",
            "cluster": cluster, "entry": entry, "level": level,
        }  # fmt: skip
        try:
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always", ChurnsurvWarning)
                pair = cox(formula, rows, **asked), fine_gray(formula, rows, **asked)
        except ChurnsurvError as error:
            notes.append(
                note("{reason}, from day {day} on: no models. {fault}", reason=reason, day=since, fault=str(error))
            )
            continue
        notes += [
            note("{reason}, from day {day} on: {warning}", reason=reason, day=since, warning=said_by(each.message))
            for each in warned
        ]
        if n < FEWEST * len(pair[0].table):
            few.append(note("{reason} ({n}, modelled all the same)", reason=reason, n=n))
        fits[reason] = pair
        for model, fit in zip(("cox", "fine_gray"), pair, strict=True):
            found += _rows_of(fit.table, {"reason": reason, "model": model, "since": since})
    if few:
        notes.append(
            note(
                "Models from day {day} on: fewer than {least} churns with a known reason for a coefficient in "
                "{reasons}.",
                day=since,
                least=FEWEST,
                reasons=listed(few),
            )
        )
    return fits


def _rows_of(table: pd.DataFrame, common: Mapping[str, Any]) -> list[dict[str, Any]]:
    names = ("term", "variable", "category", "reference", "hazard_ratio", "hr_lower", "hr_upper", "p_value")
    return [{**common, **{name: row[name] for name in names}} for row in table.to_dict("records")]
