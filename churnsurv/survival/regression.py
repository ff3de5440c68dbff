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
from churnsurv.survival.own_tables import outcome_columns, said_by
from churnsurv.survival.training import rows_at_risk

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["baseline_table", "latest_known", "refuse_outcomes", "risk_sets_with_churn"]

Floats: TypeAlias = NDArray[np.float64]

_OUTCOME = "it is the outcome itself"
_BEGAN = "it says when observation began, not who the user is"
_AT_THE_END = "it is known only when the spell ends"
_SEEN = "it says what the log could see, not who the user is"
_IDLE = "churn is so many idle days, so that it says when churn is due by arithmetic"
_LATER = {"end_date": _AT_THE_END, "last_activity": _AT_THE_END, "origin_known": _SEEN}
_STATES = dict.fromkeys(("idle_days", "days_since_last_activity", "days_since_activity", "days_idle"), _IDLE)
# Columns of our own tables that know how a row ends, or what the log could see of it, by schema.
_OUTCOMES: Mapping[str, Mapping[str, str]] = {
    "spells": {"duration": _OUTCOME, "churned": _OUTCOME, "entry": _BEGAN, **_LATER, **_STATES},
    "history": {
        **{"start": _BEGAN, "stop": _OUTCOME, "churned": _OUTCOME},
        **{"duration": _OUTCOME, "entry": _BEGAN},
        **_LATER,
        **_STATES,
    },
    "gaps": {
        **{"duration": _OUTCOME, "returned": _OUTCOME, "entry": _BEGAN},
        **dict.fromkeys(_STATES, "it is the time scale of a gap"),
    },
}
_WAY_OUT = {
    "history": "Behaviour enters with its lag: log.history(features=[...]).",
    "gaps": "What is known at the start of the gap stands beside it: log.gaps(features=[...]).",
}
_DEFAULT_WAY = "Behaviour enters as of a stated day: log.churn_spells(features=[...], baseline_day=30)."
_IDLE_WAY = "Idle days are the time of a model of return: log.gaps(), P(churn | idle for d days) = S(idle_days) / S(d)."


def refuse_outcomes(
    parsed: Formula,
    offset: str | None,
    data: object,
    *,
    duration: str,
    event: str,
    entry: str | None,
    cause: str | None = None,
) -> None:
    """Refuse covariates and offsets that know the outcome: they would predict the past.

    Raises
    ------
    InputError
        Naming the column, the reason and the way out; if `data` is a panel or a snapshot.
    """
    names = outcome_columns(data, duration=duration, event=event, entry=entry)
    schema = said_by(data).schema or ""
    for name in (*parsed.variables, *((offset,) if isinstance(offset, str) else ())):
        reason = _OUTCOMES.get(schema, {}).get(name)
        if reason is None and name in (names.duration, names.event, names.entry, cause):
            reason = _BEGAN if name == names.entry else _OUTCOME
        if reason is not None:
            what = "an offset" if name == offset else "a covariate"
            way = _IDLE_WAY if reason is _IDLE else _WAY_OUT.get(schema, _DEFAULT_WAY)
            raise InputError(f"formula: {name!r} cannot be {what}: {reason}, so that the model would look ahead. {way}")


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
    """The latest of the parts: days come after origin, a shorter lag is later; what else is said is joined.

    Examples
    --------
    >>> latest_known(Row("a:b", "a:b", None, None, ("a", "b")), {"a": "lag 30", "b": "lag 45"})
    'lag 30'
    """
    said = list(dict.fromkeys(known.get(name, "given") for name in row.columns))
    found = {text: re.fullmatch(r"(day|lag) (\d+)", text) for text in said}
    numbers = {
        word: [int(match.group(2)) for match in found.values() if match and match.group(1) == word]
        for word in ("day", "lag")
    }
    latest = [f"{word} {pick(numbers[word])}" for word, pick in (("day", max), ("lag", min)) if numbers[word]]
    others = [text for text in said if text != "origin" and not found[text]]
    return ", ".join([*latest, *others]) or "origin"
