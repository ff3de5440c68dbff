"""Predicted against observed P(gap > 30 | gap > d), by quintile of the prediction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from churnsurv.simulation import SimulatedApp

IDLE = (0, 7, 14, 21, 28)


def quintiles(
    app: SimulatedApp, *, chosen: np.ndarray | None = None, idle: Sequence[int] = IDLE, by: pd.Series | None = None
) -> pd.DataFrame:
    """Count gaps whose first 31 days are seen; `by` splits them, `chosen` keeps some.

    Columns: group, idle, quintile (within group and idle), n, expected, churned: sums, so that tables of several apps
    can be added up.
    """
    gaps, survival = app.truth.gaps, app.truth.gap_survival()
    duration = gaps["duration"].to_numpy()
    keep = (gaps["start_date"] <= pd.Timestamp(app.observed_until) - pd.Timedelta(days=31)).to_numpy()
    keep = keep if chosen is None else keep & chosen
    of = np.zeros(len(gaps), dtype=object) if by is None else by.to_numpy()
    rows = []
    for group in pd.unique(of):
        mine = keep & (of == group)
        for d in idle:
            there = np.flatnonzero(mine & (duration > d))
            risk, churned = survival[there, 30] / survival[there, d], duration[there] > 30
            order = np.argsort(risk, kind="stable")
            for number, part in enumerate(np.array_split(order, 5)):
                rows.append((group, d, number, part.size, risk[part].sum(), churned[part].sum()))
    return pd.DataFrame(rows, columns=["group", "idle", "quintile", "n", "expected", "churned"])


def compared(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Add up tables of `quintiles`: n, predicted, observed, off (the difference), error (its standard error), z."""
    table = pd.concat(tables).groupby(["group", "idle", "quintile"], sort=False, as_index=False).sum()
    table["predicted"], table["observed"] = table["expected"] / table["n"], table["churned"] / table["n"]
    table["off"] = table["observed"] - table["predicted"]
    table["error"] = np.sqrt(table["predicted"] * (1 - table["predicted"]) / table["n"])
    return table.assign(z=table["off"] / table["error"])


def stage_of(app: SimulatedApp) -> pd.Series:
    """Stage of the user at the start of each gap: new, growth or mature by the number of investments."""
    bins = [0, 3, 10, np.inf]
    return pd.cut(app.truth.gaps["n_investments"], bins, right=False, labels=["new", "growth", "mature"]).astype(str)


def channel_of(app: SimulatedApp) -> pd.Series:
    """Channel of the user of each gap."""
    return app.truth.gaps["user_id"].map(app.users.set_index("user_id")["channel"])
