"""From answers to reasons: codes mapped by a table of the user's, one reason a churn, and what is kept apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtri

from churnsurv.diagnosis.rows import frame_of
from churnsurv.errors import InputError, SchemaError
from churnsurv.numerics.nonresponse import effective_number, share_limits
from churnsurv.survival.cause_codes import UNKNOWN

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["APART", "Reasons", "agreement", "apart", "chosen", "read_mapping"]

#: Why answers are kept apart, in words.
APART: Mapping[str, str] = {
    "not_churned": "the user had not churned: active later, or not idle for long enough by the end of the log",
    "too_late": "later after the churn than within= allows",
    "window_open": "about a churn so late that not all its answers can be in yet",
    "left_out": "about a spell that is not looked at: a later one, or one of unknown origin",
    "no_reason": "mapped to no reason",
    "later_answer": "not the first with a reason about this churn",
}


@dataclass(frozen=True, slots=True, eq=False)
class Reasons:
    """Answers with their reasons.

    Attributes
    ----------
    answers : DataFrame
        Schema "reason_answers" and `place`, without chance and weight.
    labels : tuple of str
        Reasons that count for some churn, in the order of the mapping, else sorted.
    unmapped : DataFrame
        Schema "reason_codes".
    never : tuple of str
        Codes of the mapping that nobody gave.
    ties : int
        Churns whose first answers are of one moment and give different reasons: the code that comes first in the
        alphabet counts.
    """

    answers: pd.DataFrame
    labels: tuple[str, ...]
    unmapped: pd.DataFrame
    never: tuple[str, ...]
    ties: int


def read_mapping(mapping: Any) -> dict[str, str | None] | None:
    """Read a mapping of codes to reasons: a mapping, or a table whose two columns (or code, reason) are they.

    Whole numbers are written without decimals; rows without a code are passed over.

    Examples
    --------
    >>> read_mapping({"app crashed": "frustrated", "no idea": None, 7.0: "rigid"})
    {'app crashed': 'frustrated', 'no idea': None, '7': 'rigid'}
    """
    if mapping is None:
        return None
    pairs: list[tuple[Any, Any]]
    if isinstance(mapping, Mapping):
        pairs = list(mapping.items())
    elif hasattr(mapping, "columns"):
        frame = mapping.to_pandas() if hasattr(mapping, "to_pandas") else mapping
        names = [str(name) for name in frame.columns]
        if {"code", "reason"} <= set(names):
            frame = frame[["code", "reason"]]
        elif len(names) != 2:
            raise SchemaError(f"mapping: a table has the columns code and reason; this one has {', '.join(names)}.")
        pairs = list(zip(*(frame.iloc[:, i].tolist() for i in (0, 1)), strict=True))
    else:
        raise InputError(f"mapping: give a mapping or a table of codes and reasons, not a {type(mapping).__name__}.")
    made: dict[str, str | None] = {}
    for code, reason in pairs:
        key, text = _text(code), _text(reason)
        if key is None:
            continue
        if text == UNKNOWN:
            raise InputError(
                f"mapping: {UNKNOWN!r} is what churns without a reason are called. Map {key!r} to None instead."
            )
        if made.get(key, text) != text:
            raise InputError(f"mapping: {key!r} is mapped to {made[key]!r} and to {text!r}. Give each code one reason.")
        made[key] = text
    return made


def _text(value: Any) -> str | None:
    """A code or a reason as text, None where it is missing."""
    import pandas as pd

    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return None
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        value = int(value)
    return str(value).strip() or None


def chosen(answers: pd.DataFrame, mapping: Mapping[str, str | None] | None) -> Reasons:
    """Give answers their reasons, and each churn the first answer that has one.

    Parameters
    ----------
    answers : DataFrame
        As in `data.feedback.AskedChurns`, by user and moment.
    mapping : mapping of str to str or None, or None
        None: codes are reasons.
    """
    code = answers["code"].astype(object)
    if mapping is None:
        reason = code.where(code != UNKNOWN, None)
    else:
        reason = code.map(lambda each: mapping.get(each)).astype(object)
        reason = reason.where(reason.notna(), None)
    status = answers["status"].astype(object).to_numpy(copy=True)
    about = status == "counts"
    nothing = reason.isna().to_numpy()
    status[about & nothing] = "no_reason"
    rows = np.flatnonzero(about & ~nothing)
    repeated = answers["place"].iloc[rows].duplicated().to_numpy()
    status[rows[repeated]] = "later_answer"
    made = answers.assign(reason=reason, status=status)
    there = set(made.loc[made["status"] == "counts", "reason"])
    order = dict.fromkeys(each for each in (mapping or {}).values() if each) if mapping else sorted(there)
    codes = set(code)
    never = tuple(each for each in mapping or {} if each not in codes)
    labels = tuple(each for each in order if each in there)
    return Reasons(made, labels, _unmapped(made[nothing]), never, _ties(made.iloc[rows]))


def _ties(rows: pd.DataFrame) -> int:
    """Churns of which the first moment has answers with different reasons."""
    first = rows["moment"] == rows.groupby("place", sort=False)["moment"].transform("first")
    kinds = rows[first].drop_duplicates(["place", "reason"])["place"].value_counts()
    return int((kinds > 1).sum())


def _unmapped(rows: pd.DataFrame) -> pd.DataFrame:
    grouped = rows.groupby("code", sort=True, observed=True)["user_id"].agg(["size", "nunique"])
    found = [{"code": code, "n": int(n), "n_users": int(users)} for code, n, users in grouped.itertuples()]
    return frame_of("reason_codes", sorted(found, key=lambda row: (-row["n"], row["code"])))


def apart(answers: pd.DataFrame) -> pd.DataFrame:
    """Count the answers kept apart; schema "reasons_apart", every status, also where there is none."""
    rows = []
    for status, meaning in APART.items():
        mine = answers[answers["status"] == status]
        rows.append({"status": status, "meaning": meaning, "n": len(mine), "n_users": mine["user_id"].nunique()})
    return frame_of("reasons_apart", rows)


def agreement(answers: pd.DataFrame, *, level: float) -> pd.DataFrame:
    """Say how far the answers about one churn agree; schema "reason_agreement", no rows without several answers.

    The share of agreeing pairs has each churn count once, whatever the number of its answers, with Wilson's limits at
    the effective number of users. Cohen's kappa is of the first two answers, by statsmodels.
    """
    rows = answers[answers["status"].isin(["counts", "later_answer"])]
    several = rows.groupby("place", sort=False)["reason"].transform("size") > 1
    rows = rows[several]
    if rows.empty:
        return frame_of("reason_agreement", [])
    each = rows.groupby("place", sort=True)
    size = each.size()
    same = rows.groupby(["place", "reason"], sort=True, observed=True).size()
    pairs = (same * (same - 1)).groupby("place").sum() / (size * (size - 1))
    users = each["user_id"].first()
    n, n_users = len(pairs), int(users.nunique())
    share = np.array([float(pairs.mean())])
    off = (pairs - share[0]).groupby(users.to_numpy()).sum()
    error = np.array([float(np.sqrt((off**2).sum()) / n)])
    number = effective_number(share, error, float(n_users))
    lower, upper = share_limits(share, number, level=level, df=max(n_users - 1, 1))
    counted = {"n": n, "n_users": n_users}
    found = [{"measure": "agreement", "estimate": share[0], "lower": lower[0], "upper": upper[0], **counted}]
    first, second = (each["reason"].nth(i).to_numpy(dtype=object) for i in (0, 1))
    return frame_of("reason_agreement", [*found, {"measure": "kappa", **_kappa(first, second, level), **counted}])


def _kappa(first: Any, second: Any, level: float) -> dict[str, float]:
    """Cohen's kappa; null where all answers are one reason, and without limits where all agree."""
    from statsmodels.stats.inter_rater import cohens_kappa

    kinds = sorted({*first, *second})
    if len(kinds) < 2:
        return {"estimate": np.nan, "lower": np.nan, "upper": np.nan}
    table = np.zeros((len(kinds), len(kinds)))
    np.add.at(table, ([kinds.index(x) for x in first], [kinds.index(x) for x in second]), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = cohens_kappa(table)
    kappa, error = float(found.kappa), float(found.std_kappa)
    if not (np.isfinite(error) and error > 0):
        return {"estimate": kappa, "lower": np.nan, "upper": np.nan}
    reach = float(ndtri(0.5 + level / 2)) * error
    return {"estimate": kappa, "lower": max(kappa - reach, -1.0), "upper": min(kappa + reach, 1.0)}
