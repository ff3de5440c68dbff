"""What every regression on spells does before and after its fit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import ConvergenceError, InputError
from churnsurv.numerics.risk_sets import RiskSets
from churnsurv.survival.covariates import Row
from churnsurv.survival.formula import Formula
from churnsurv.survival.inputs import SurvivalData
from churnsurv.survival.training import rows_at_risk

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["baseline_table", "latest_known", "refuse_outcomes", "risk_sets_with_churn"]

Floats: TypeAlias = NDArray[np.float64]

# Columns of spells that know how the spell ends, or what the log could see of it.
_OUTCOMES = {
    "duration": "it is the outcome itself",
    "churned": "it is the outcome itself",
    "end_date": "it is known only when the spell ends",
    "last_activity": "it is known only when the spell ends",
    "entry": "it says when observation began, not who the user is",
    "origin_known": "it says what the log could see, not who the user is",
}


def refuse_outcomes(parsed: Formula, offset: str | None, *, own: bool, named: tuple[str | None, ...]) -> None:
    """Refuse covariates and offsets that know the outcome: they would predict the past."""
    for name in (*parsed.variables, *(() if offset is None else (offset,))):
        reason = _OUTCOMES.get(name) if own else None
        if reason is None and name in named:
            reason = _OUTCOMES["entry"] if name == named[2] else "it is the outcome itself"
        if reason is not None:
            what = "an offset" if name == offset else "a covariate"
            raise InputError(
                f"formula: {name!r} cannot be {what}: {reason}, so that the model would look ahead. Behaviour enters "
                "as of a stated day: log.churn_spells(features=[...], baseline_day=30)."
            )


def risk_sets_with_churn(found: SurvivalData, event: str) -> RiskSets:
    """Return the risk sets of checked rows, or say that nobody churned."""
    sets = rows_at_risk(found)
    if sets.n_slots == 0:
        raise ConvergenceError(
            f"none of the {found.n_users - sets.n_no_risk:,} rows at risk churned: without churn no hazard can be "
            f"compared. Check the event column {event!r} and the end of the log."
        )
    return sets


def baseline_table(sets: RiskSets, hazard: Floats, strata: tuple[str, ...]) -> pd.DataFrame:
    """Lay a cumulative hazard out as schema "baseline"."""
    import pandas as pd

    return pd.DataFrame(
        {
            "stratum": np.array(strata, dtype=object)[sets.stratum],
            "time": sets.time,
            "cumulative_hazard": hazard,
        }
    )


def latest_known(row: Row, known: Mapping[str, str]) -> str:
    """The latest of the parts: days come after origin; what else is said is joined."""
    said = list(dict.fromkeys(known.get(name, "given") for name in row.columns))
    days = [int(match.group(1)) for text in said if (match := re.fullmatch(r"day (\d+)", text))]
    others = [text for text in said if text != "origin" and not re.fullmatch(r"day (\d+)", text)]
    return ", ".join([*([f"day {max(days)}"] if days else []), *others]) or "origin"
