"""Reads what the R scripts wrote: cases, data sets and R's answers. No R is needed."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).parent


@cache
def _table(path: str) -> pd.DataFrame:
    return pd.read_csv(HERE / path, float_precision="round_trip", dtype={"case": str, "user_id": str})


def cases(name: str) -> list[dict[str, str]]:
    """The rows of cases/<name>.csv; an empty cell is ''."""
    table = pd.read_csv(HERE / "cases" / f"{name}.csv", dtype=str, keep_default_na=False)
    return table.to_dict("records")


def case_names(name: str, **having: str) -> list[str]:
    """The names of the cases whose cells equal `having`."""
    return [c["case"] for c in cases(name) if all(c[key] == value for key, value in having.items())]


def case(name: str, which: str) -> dict[str, str]:
    """One case by its name."""
    (found,) = (c for c in cases(name) if c["case"] == which)
    return found


def frame(of: dict[str, str]) -> pd.DataFrame:
    """The data set of a case, as the user would hold it."""
    table = _table(f"data/{of['data']}.csv")
    if of["set"]:
        table = table[table["set"] == of["set"]].reset_index(drop=True)
    return table.assign(churned=table["churned"].astype(bool))


def answer(table: str, which: str, folder: str = "output") -> pd.DataFrame:
    """R's rows for a case."""
    rows = _table(f"{folder}/{table}.csv")
    rows = rows[rows["case"] == which].drop(columns="case").reset_index(drop=True)
    assert len(rows), f"R wrote no {table} for case {which!r}"
    return rows


def columns(text: str) -> list[str] | None:
    """'a|b' as ['a', 'b']; '' as None."""
    return text.split("|") if text else None


def keywords(of: dict[str, str]) -> dict[str, Any]:
    """The keywords that all estimators share."""
    return {"entry": of["entry"] or None, "cluster": of["cluster"] or None}


def close(ours: Any, theirs: Any, rtol: float, atol: float = 0.0) -> None:
    """Equal to rtol, with missing values in the same places."""
    np.testing.assert_allclose(
        np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float), rtol=rtol, atol=atol, equal_nan=True
    )
