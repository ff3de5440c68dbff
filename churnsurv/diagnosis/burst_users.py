"""The users of registration bursts: which groups they come from, and their churn hazard against that of others."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from churnsurv.diagnosis.naming import quoted, said_by
from churnsurv.diagnosis.pooled import pooled
from churnsurv.diagnosis.rows import frame_of
from churnsurv.errors import ChurnsurvError, ChurnsurvWarning
from churnsurv.notes import note
from churnsurv.survival.frames import counted

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ANY", "burst_label", "group_shares", "hazard_ratios", "users_frame"]

Burst = Mapping[str, Any]
Ties = Literal["efron", "breslow", "grouped"]

#: What all bursts together are called.
ANY = "any burst"
_OUTSIDE, _OTHER = "none", "other bursts"


def burst_label(burst: Burst) -> str:
    """Name a burst by its days.

    Examples
    --------
    >>> from datetime import date
    >>> burst_label({"start": date(2024, 5, 20), "end": date(2024, 5, 26)})
    '2024-05-20 to 2024-05-26'
    """
    return str(burst["start"]) if burst["start"] == burst["end"] else f"{burst['start']} to {burst['end']}"


def users_frame(
    users: pd.DataFrame, bursts: Sequence[Burst], by: str | None, min_users: int, notes: list[str]
) -> pd.DataFrame:
    """Return entry, duration, churned, the number of the burst (-1 for none) and the group of each user.

    Parameters
    ----------
    users : DataFrame
        First spells.
    bursts : sequence of mapping
        With `start` and `end`.
    by : str or None
        The column with the group; small groups are pooled.
    min_users : int
    notes : list of str
        What was pooled is added to it.
    """
    import pandas as pd

    day = users["origin"].to_numpy().astype("datetime64[D]")
    number = np.full(len(users), -1)
    for place, burst in enumerate(bursts):
        number[(day >= np.datetime64(burst["start"])) & (day <= np.datetime64(burst["end"]))] = place
    frame = pd.DataFrame({name: users[name].to_numpy() for name in ("entry", "duration", "churned")})
    frame["burst"] = number
    if by is not None:
        groups = pooled(users[by], min_users)
        frame[by] = groups.column.to_numpy() if groups.column.dtype == object else groups.column.array
        notes += [] if groups.note is None else [groups.note]
    return frame


def group_shares(frame: pd.DataFrame, bursts: Sequence[Burst], by: str | None, level: float) -> pd.DataFrame:
    """Return the users of each group in each burst, beside the share of the group outside bursts.

    Parameters
    ----------
    frame : DataFrame
        Of `users_frame`.
    bursts : sequence of mapping
    by : str or None
    level : float
        Of Wilson's intervals.
    """
    if by is None or not bursts:
        return frame_of("burst_groups", [])
    from statsmodels.stats.proportion import proportion_confint

    number, group = frame["burst"].to_numpy(), frame[by]
    outside = group[number < 0].value_counts(sort=False)
    rows = []
    for place, burst in enumerate(bursts):
        inside = group[number == place].value_counts(sort=False)
        total = int(inside.sum())
        for name, n in inside.items():
            lower, upper = proportion_confint(int(n), total, alpha=1 - level, method="wilson")
            rows.append({
                "start": burst["start"], "end": burst["end"], "group": str(name), "registrations": int(n),
                "share": n / total, "share_lower": float(lower), "share_upper": float(upper),
                "share_outside": outside[name] / outside.sum() if outside.sum() else np.nan,
            })  # fmt: skip
    return frame_of("burst_groups", rows)


def hazard_ratios(
    frame: pd.DataFrame,
    bursts: Sequence[Burst],
    by: str | None,
    *,
    min_users: int,
    ties: Ties,
    level: float,
    notes: list[str],
) -> pd.DataFrame:
    """Return hazard ratios of burst users against all others, of all bursts as one and then of each.

    Parameters
    ----------
    frame : DataFrame
        Of `users_frame`.
    bursts : sequence of mapping
    by : str or None
        Adjusted for, where it has more than one group.
    min_users : int
        Bursts with fewer users have one hazard ratio together.
    ties, level
        As in `churnsurv.cox`.
    notes : list of str
        What a reader must know is added to it: also why there is no ratio.
    """
    import pandas as pd

    if not bursts:
        return frame_of("cox", [])
    number = frame["burst"].to_numpy()
    together = pd.Categorical(np.where(number >= 0, ANY, _OUTSIDE), categories=[_OUTSIDE, ANY])
    found = [_ratios(frame.assign(burst=together), by, ties, level, notes)]
    names = _names(bursts, np.bincount(number[number >= 0], minlength=len(bursts)).tolist(), min_users, notes)
    if len(set(names)) > 1 and len(found[0]):
        each = np.array([*names, _OUTSIDE], dtype=object)[number]
        apart = pd.Categorical(each, categories=[_OUTSIDE, *dict.fromkeys(names)])
        by_burst = _ratios(frame.assign(burst=apart), by, ties, level, notes)
        found.append(by_burst[by_burst["variable"] == "burst"])
    notes.append(
        note(
            "Hazard ratios of burst users are an association: those who come in a burst may differ from others in much "
            "that the model does not know. They are compared with all users registered outside bursts."
        )
    )
    known = [table for table in found if len(table)]
    return pd.concat(known, ignore_index=True) if known else frame_of("cox", [])


def _names(bursts: Sequence[Burst], sizes: list[int], min_users: int, notes: list[str]) -> list[str]:
    """Label of each burst; the small ones share one."""
    names = [burst_label(burst) if n >= min_users else _OTHER for burst, n in zip(bursts, sizes, strict=True)]
    few = names.count(_OTHER)
    if few == 1:
        return [burst_label(burst) for burst in bursts]
    if few:
        notes.append(
            note(
                "{bursts} of fewer than {least} users have one hazard ratio, {label}.",
                bursts=counted(few, "burst"),
                least=min_users,
                label=quoted(_OTHER),
            )
        )
    return names


def _ratios(frame: pd.DataFrame, by: str | None, ties: Ties, level: float, notes: list[str]) -> pd.DataFrame:
    """The table of Cox's model of burst and group; empty, with a note, where it cannot be fitted."""
    from churnsurv.survival.cox import cox

    formula = "burst" if by is None or frame[by].nunique() < 2 else f"burst + `{by}`"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ChurnsurvWarning)
        try:
            table = cox(formula, frame, entry="entry", ties=ties, level=level).table
        except ChurnsurvError as fault:
            table = frame_of("cox", [])
            notes.append(note("No hazard ratios: {fault}", fault=str(fault)))
    # Both models are of the same rows, so that they say the same.
    said = (note("Hazard ratios: {warning}", warning=said_by(w.message)) for w in caught)
    notes += [text for text in dict.fromkeys(said) if text not in notes]
    return table
