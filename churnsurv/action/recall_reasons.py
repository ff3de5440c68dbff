"""Why the silent may have left: shares of reasons among those who answered, and who answers at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.category_shares import category_shares
from churnsurv.numerics.precision_bound import wilson_lower
from churnsurv.survival.multiplicity import adjusted
from churnsurv.tables import schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LEAST_ANSWERS", "LEAST_OF_GROUP", "NONE", "chances", "responses"]

Floats: TypeAlias = NDArray[np.float64]

#: Fewer answers in all, or of a group, tell no likely reason.
LEAST_ANSWERS, LEAST_OF_GROUP = 20, 5
#: The group of what is missing.
NONE = "(none)"
#: First days of the bands of tenure.
_TENURES = (0, 30, 90, 180, 365)


def chances(churns: pd.DataFrame, *, min_probability: float, level: float) -> pd.DataFrame:
    """Estimate the probability of each reason by stage and channel, among those who answered; schema "recall_chances".

    Parameters
    ----------
    churns : DataFrame
        `stage, channel, reason` (null where there is no answer), one row a churn.
    min_probability : float
        A reason is likely from so much on.
    level : float
        Of the limits.

    Examples
    --------
    >>> import pandas as pd
    >>> reasons = ["natural"] * 24 + ["rigid"] * 6 + [None]
    >>> churns = pd.DataFrame({"stage": "new", "channel": "organic", "reason": reasons})
    >>> chances(churns, min_probability=0.5, level=0.95)[["reason", "n_answers", "n_reason", "likely"]]
        reason  n_answers  n_reason  likely
    0  natural         30        24    True
    1    rigid         30         6   False
    """
    import pandas as pd

    names = schema("recall_chances").names
    groups = _groups(churns)
    told = churns["reason"].notna().to_numpy()
    if not told.any():
        return _typed(pd.DataFrame(columns=list(names)))
    pairs = groups.drop_duplicates().sort_values(["stage", "channel"], kind="stable").reset_index(drop=True)
    reasons, code = np.unique(churns["reason"].to_numpy(dtype=object)[told].astype(str), return_inverse=True)
    place = pd.MultiIndex.from_frame(pairs).get_indexer(pd.MultiIndex.from_frame(groups[told]))
    counts = np.bincount(place * reasons.size + code, minlength=len(pairs) * reasons.size)
    counts = counts.reshape(len(pairs), reasons.size).astype(np.int64)
    found = category_shares(
        counts, np.unique(pairs["stage"].astype(str), return_inverse=True)[1].astype(np.int64), level=level
    )
    n = counts.sum(axis=1)
    best = np.zeros(counts.shape, dtype=np.bool_)
    best[np.arange(len(pairs)), found.share.argmax(axis=1)] = True
    enough = (n >= LEAST_OF_GROUP) & (n.sum() >= LEAST_ANSWERS)
    columns: dict[str, Any] = {
        "stage": np.repeat(pairs["stage"].to_numpy(dtype=object), reasons.size),
        "channel": np.repeat(pairs["channel"].to_numpy(dtype=object), reasons.size),
        "reason": np.tile(reasons.astype(object), len(pairs)),
        "n_answers": np.repeat(n, reasons.size),
        "n_reason": counts.ravel(),
        "probability": found.share.ravel(),
        "lower": found.lower.ravel(),
        "upper": found.upper.ravel(),
        "prior": np.repeat(found.worth, reasons.size),
        "likely": (best & enough[:, None] & (found.share >= min_probability)).ravel(),
    }
    return _typed(pd.DataFrame(columns))


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    kinds = {"integer": np.int64, "number": np.float64, "boolean": np.bool_, "text": object}
    return table.astype({column.name: kinds[column.kind] for column in schema("recall_chances").columns})


def _groups(churns: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    filled = {}
    for column in ("stage", "channel"):
        values = churns[column].astype(object)
        filled[column] = values.where(values.notna(), NONE).astype(str)
    return pd.DataFrame(filled)


def responses(churns: pd.DataFrame, *, level: float) -> pd.DataFrame:
    """Say which churns have an answer, by stage, channel and tenure; schema "recall_responses".

    Parameters
    ----------
    churns : DataFrame
        `stage, channel, tenure` (days), `answered`, one row a churn.
    level : float

    Examples
    --------
    >>> import pandas as pd
    >>> churns = pd.DataFrame({"stage": "new", "channel": ["a", "a", "b", "b"], "tenure": [3, 40, 5, 400],
    ...     "answered": [True, False, False, False]})
    >>> responses(churns, level=0.95)[["variable", "group", "n_churns", "n_answered"]].head(3)
      variable group  n_churns  n_answered
    0      all   all         4           1
    1    stage   new         4           1
    2  channel     a         2           1
    """
    import pandas as pd

    answered = churns["answered"].to_numpy(dtype=np.bool_)
    bands = np.searchsorted(np.array(_TENURES), churns["tenure"].to_numpy(dtype=np.float64), side="right") - 1
    groups = _groups(churns).assign(
        all="all", tenure=np.array([_band(place) for place in range(len(_TENURES))], dtype=object)[np.maximum(bands, 0)]
    )
    order = {"tenure": [_band(place) for place in range(len(_TENURES))]}
    parts, p_values = [], []
    for variable in ("all", "stage", "channel", "tenure"):
        part, p_value = _of_variable(groups[variable], answered, variable, order.get(variable), level)
        parts.append(part)
        p_values.append(p_value)
    holm = adjusted(np.array(p_values), "holm")
    for part, p_value, more in zip(parts, p_values, holm, strict=True):
        part["p_value"], part["adjusted_p_value"] = p_value, more
    return pd.concat(parts, ignore_index=True)[list(schema("recall_responses").names)]


def _band(place: int) -> str:
    if place == len(_TENURES) - 1:
        return f"{_TENURES[place]} days or more"
    return f"{_TENURES[place]} to {_TENURES[place + 1] - 1} days"


def _of_variable(
    values: pd.Series, answered: NDArray[np.bool_], variable: str, order: list[str] | None, level: float
) -> tuple[pd.DataFrame, float]:
    import pandas as pd
    from scipy.special import chdtrc, ndtri

    there = sorted(values.unique().tolist()) if order is None else [each for each in order if (values == each).any()]
    code = pd.Index(there, dtype=object).get_indexer(pd.Index(values))
    n = np.bincount(code, minlength=len(there)).astype(np.float64)
    hits = np.bincount(code, answered, len(there))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = hits / n
    z = float(ndtri(1 - (1 - level) / 2 / max(len(there), 1)))
    p_value = np.nan
    whole = hits.sum() / max(n.sum(), 1.0)
    if variable != "all" and len(there) > 1 and 0 < whole < 1:
        p_value = float(chdtrc(len(there) - 1, ((hits - n * whole) ** 2 / (n * whole * (1 - whole))).sum()))
    made = pd.DataFrame(
        {
            "variable": np.full(len(there), variable, dtype=object),
            "group": np.array(there, dtype=object),
            "n_churns": n.astype(np.int64),
            "n_answered": hits.astype(np.int64),
            "share": share,
            "lower": wilson_lower(share, n, z),
            "upper": 1 - wilson_lower(1 - share, n, z),
        }
    )
    return made, p_value
