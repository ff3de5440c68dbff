"""When a variable is known: a threshold on what is known only later warns of nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from churnsurv.errors import InputError, did_you_mean
from churnsurv.survival.formula import Formula
from churnsurv.survival.inputs import SurvivalData
from churnsurv.survival.own_tables import said_by
from churnsurv.survival.regression import refuse_outcomes

__all__ = ["check_at_risk_since", "known_days", "refuse_outcome_variables"]

_FORMS = re.compile(r"origin|start_date|(day|lag) \d+")
_UNSAID = "given"  # what our own tables say of attributes whose day nobody stated


def known_days(data: object, variables: Sequence[str], known_at: str | Mapping[str, str] | None) -> dict[str, str]:
    """Return when each variable is known: as the table says, else as the call does.

    Parameters
    ----------
    data : table
    variables : sequence of str
    known_at : str, or mapping of variable to str
        "origin" (the day on which time begins), "start_date" (of a gap), "day 30" or "lag 60".

    Raises
    ------
    InputError
        If nobody says it, the call contradicts the table, or it is said in no known way.

    Examples
    --------
    >>> import pandas as pd
    >>> known_days(pd.DataFrame({"balance": [1.0]}), ["balance"], "day 30")
    {'balance': 'day 30'}
    """
    if isinstance(known_at, Mapping):
        unknown = next((name for name in known_at if name not in variables), None)
        if unknown is not None:
            raise InputError(
                f"known_at: {unknown!r} is not among the variables.{did_you_mean(str(unknown), variables)}"
            )
    table = said_by(data).known_at
    found: dict[str, str] = {}
    for name in variables:
        called = known_at.get(name) if isinstance(known_at, Mapping) else known_at
        own = table.get(name, _UNSAID)
        if called is not None and not (isinstance(called, str) and _FORMS.fullmatch(called)):
            raise InputError(
                f"known_at says when a variable is known: 'origin', 'start_date', 'day 30' or 'lag 60', not {called!r}."
            )
        if own == _UNSAID and called is None:
            raise InputError(
                f"nothing says when {name!r} is known. What is known only later, such as a total over the whole spell, "
                "grows with its length, and every cut of it looks good. Take features of a stated day "
                "(log.churn_spells(features=[...], baseline_day=30), log.gaps(features=[...])), or say it: "
                f"known_at={{{name!r}: 'origin'}} or 'day 30'."
            )
        if called is not None and own not in (_UNSAID, called):
            raise InputError(f"known_at says {called!r} of {name!r}, and the table says {own!r}. Leave known_at out.")
        found[name] = called if own == _UNSAID and called is not None else own
    return found


def check_at_risk_since(found: SurvivalData, known: Mapping[str, str], *, said: Sequence[str]) -> None:
    """Refuse rows that are at risk before the day on which a variable is known, where only the call says that day.

    Parameters
    ----------
    found : SurvivalData
    known : mapping of variable to str
    said : sequence of str
        Variables of which only the call said when they are known.

    Raises
    ------
    InputError
    """
    for name in said:
        day = re.fullmatch(r"day (\d+)", known[name])
        if day is None:
            continue
        first = float(found.entry.min()) if found.entry is not None else -1.0
        if first < int(day.group(1)):
            since = f"from day {first:g}" if found.entry is not None else "from the first day (there is no entry=)"
            raise InputError(
                f"{name!r} is known at the end of {known[name]}, but rows are at risk {since}: who churned before that "
                "day told the value. Name the column of entries, entry=..., with days after it: log.churn_spells("
                f"features=[...], baseline_day={day.group(1)}) makes them."
            )


def refuse_outcome_variables(
    data: Any, variables: Sequence[str], *, duration: str, event: str, entry: str | None
) -> None:
    """Refuse variables that know the outcome, with the reason; as regressions do.

    Raises
    ------
    InputError
    """
    asked = Formula("", (), tuple(variables))
    try:
        refuse_outcomes(asked, None, data, duration=duration, event=event, entry=entry)
    except InputError as error:
        said = str(error).removeprefix("formula: ").replace("be a covariate", "be cut").replace("the model", "the cut")
        raise InputError(f"variable: {said}" if str(error).startswith("formula: ") else str(error)) from None
