"""Cause-specific churn: the churns of one reason are the events, those of others are censored on their day."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from churnsurv.errors import InputError, did_you_mean
from churnsurv.notes import note
from churnsurv.survival.inputs import SurvivalData

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_cause", "of_cause"]


def check_cause(cause: str | None, cause_of_interest: object) -> None:
    """Refuse one of the two without the other."""
    if cause is None and cause_of_interest is not None:
        raise InputError("cause_of_interest needs cause=, the column that holds the reasons of churn.")
    if cause is not None and cause_of_interest is None:
        raise InputError(f"cause={cause!r} needs cause_of_interest=, the value of it that counts as churn here.")


def of_cause(found: SurvivalData, cause: str, cause_of_interest: object) -> tuple[SurvivalData, list[str]]:
    """Keep the churns of one cause, censor the others, and say how many there were.

    Parameters
    ----------
    found : SurvivalData
        With the column in its `frame`; it is read where a row churned.
    cause : str
    cause_of_interest : object
        A value of the column.

    Returns
    -------
    SurvivalData, list of str

    Raises
    ------
    InputError
        If no churn has this cause; the nearest name is given.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.survival.inputs import survival_data
    >>> frame = pd.DataFrame({"duration": [30, 45, 50], "churned": True, "reason": ["rigid", None, "policy"]})
    >>> kept, notes = of_cause(survival_data(frame, columns=["reason"]), "reason", "rigid")
    >>> kept.churned.tolist(), notes
    ([True, False, False], ["1 of 3 churns has no known 'reason': censored on its day, like the 1 of other causes. If \
some of them were 'rigid', its hazard is underestimated."])
    """
    column: pd.Series[Any] = found.frame[cause].reset_index(drop=True)
    unknown = column.isna().to_numpy() & found.churned
    mine = (column == cause_of_interest).fillna(False).to_numpy(dtype=np.bool_) & found.churned
    if not mine.any():
        known = sorted({str(value) for value in column[found.churned & ~unknown].unique()})
        shown = ", ".join(map(repr, known[:20])) + (" ..." if len(known) > 20 else "")
        raise InputError(
            f"cause: no churn has {cause!r} equal to {cause_of_interest!r}."
            f"{did_you_mean(str(cause_of_interest), known)} Its values there: {shown or 'none'}."
        )
    counts = [
        int(mask.sum() if found.frequency is None else found.frequency[mask].sum())
        for mask in (found.churned, unknown, found.churned & ~mine & ~unknown)
    ]
    return replace(found, churned=mine), _notes(cause, cause_of_interest, *counts)


def _notes(cause: str, cause_of_interest: object, churns: int, unknown: int, others: int) -> list[str]:
    if unknown == 0:
        return []
    said = {
        "unknown": f"{unknown:,}",
        "churns": f"{churns:,}",
        "cause": repr(cause),
        "others": f"{others:,}",
        "asked": repr(cause_of_interest),
    }
    if unknown == 1:
        return [
            note(
                "{unknown} of {churns} churns has no known {cause}: censored on its day, like the {others} of other "
                "causes. If some of them were {asked}, its hazard is underestimated.",
                **said,
            )
        ]
    return [
        note(
            "{unknown} of {churns} churns have no known {cause}: censored on their day, like the {others} of other "
            "causes. If some of them were {asked}, its hazard is underestimated.",
            **said,
        )
    ]
