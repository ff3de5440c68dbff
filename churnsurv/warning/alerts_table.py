"""The table of alerts: one row a user, in total order, numbers with nine significant digits."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.tables import schema
from churnsurv.warning.alerts_replay import Replay
from churnsurv.warning.alerts_risk import Chances
from churnsurv.warning.alerts_words import fired
from churnsurv.warning.given_score import SCORE, GivenScore

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.warning.scheme import TierScheme

__all__ = ["RESOLVED_BY", "STATUSES", "Found", "alert_counts", "alert_table", "nine_digits"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

STATUSES = ("new", "continued", "upgraded", "lowered", "resolved")
RESOLVED_BY = ("activity", "churn", "state")
_NONE = -1


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What is known of n users who are in a tier, or were on the day before.

    Attributes
    ----------
    user_id : Series
    tiers : Replay
    active : (n,) bool
        On the day of the alerts.
    chances : Chances
    margin : (n,) float64, or None
    state : DataFrame
        Columns of the users at the end of the day.
    """

    user_id: pd.Series
    tiers: Replay
    active: Flags
    chances: Chances
    margin: Floats | None
    state: pd.DataFrame

    def urgency(self, idle_days: int) -> Floats:
        """Risk, times the margin where margins are known, times the share of the idle days that is left; shape (n,).

        As in a backtest: an alert on the last day before churn is as good as none. Null where risk or margin is.
        """
        left = np.clip(idle_days - self.tiers.idle, 0, idle_days) / idle_days
        return nine_digits(self.chances.risk * left * (1.0 if self.margin is None else self.margin))

    def in_order(self, scheme: TierScheme) -> Found:
        """The same by tier, urgency, risk, score, and then as the users stand here."""
        n = self.active.size
        score = self.tiers.numbers.get(SCORE, np.full(n, np.nan))
        by = (score, nine_digits(self.chances.risk), self.urgency(scheme.idle_days))
        falling = [np.nan_to_num(-each, nan=np.inf) for each in by]
        order = np.lexsort((np.arange(n), *falling, np.minimum(self.tiers.now, len(scheme.tiers))))
        return replace(
            self,
            user_id=self.user_id.iloc[order].reset_index(drop=True),
            tiers=self.tiers.at(order),
            active=self.active[order],
            chances=self.chances.at(order),
            margin=None if self.margin is None else self.margin[order],
            state=self.state.iloc[order].reset_index(drop=True),
        )


def nine_digits(values: Floats) -> Floats:
    """Numbers to nine significant digits: the floating-point number nearest to the decimal that is printed.

    Examples
    --------
    >>> nine_digits(np.array([1 / 3, -123456789012.0, 0.0, np.nan])).tolist()
    [0.333333333, -123456789000.0, 0.0, nan]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        places = np.where((values == 0) | ~np.isfinite(values), 0.0, 8 - np.floor(np.log10(np.abs(values))))
        up, down = 10.0 ** np.clip(places, 0, 300), 10.0 ** np.clip(-places, 0, 300)
        return np.asarray(np.where(np.isfinite(values), np.round(values * up / down) / up * down, values))


def alert_table(
    found: Found, scheme: TierScheme, widths: Mapping[str, float], day: datetime.date, *, extra: Sequence[str]
) -> pd.DataFrame:
    """The table of schema "alerts", rows as they come.

    Parameters
    ----------
    found : Found
    scheme : TierScheme
    widths : Mapping of str to float
        Hysteresis.
    day : date
    extra : sequence of str
        Columns of the state that are told.
    """
    import pandas as pd

    tiers, chances, n_tiers = found.tiers, found.chances, len(scheme.tiers)
    margin = np.full(found.active.size, np.nan) if found.margin is None else found.margin
    risk, lower, upper = (nine_digits(each) for each in (chances.risk, chances.lower, chances.upper))
    resolved, left = tiers.now == n_tiers, np.maximum(scheme.idle_days - tiers.idle, 0)
    by = np.select([found.active, left == 0], [0, 1], 2)
    date = np.datetime64(day).astype("datetime64[D]")
    weights, text = chances.weights, fired(scheme, widths, tiers)
    statuses, reasons = pd.CategoricalDtype([*STATUSES]), pd.CategoricalDtype([*RESOLVED_BY])
    columns = {
        "user_id": found.user_id,
        "date": np.full(left.size, date).astype("datetime64[s]"),
        "status": pd.Categorical.from_codes(_status(tiers, n_tiers), dtype=statuses),
        "resolved_by": pd.Categorical.from_codes(np.where(resolved, by, _NONE), dtype=reasons),
        "tier": _names(tiers.now, scheme),
        "previous_tier": _names(tiers.before, scheme),
        "since": _dates(tiers.since),
        "tier_since": _dates(tiers.tier_since),
        "idle_days": tiers.idle,
        "days_left": left,
        "churn_date": (date + left).astype("datetime64[s]"),
        "risk": risk,
        "risk_lower": lower,
        "risk_upper": upper,
        "fired": pd.Series(text).astype("category"),
        "held": tiers.held & ~resolved,
        "weighs": pd.Series(weights.weighs).where(~resolved).astype("category"),
        "weight": np.where(resolved, np.nan, nine_digits(weights.weight)),
        "margin": margin,
        "value_at_risk": nine_digits(risk * margin),
        "value_lower": nine_digits(lower * margin),
        "value_upper": nine_digits(upper * margin),
        "urgency": np.where(resolved, np.nan, found.urgency(scheme.idle_days)),
    }
    table = pd.DataFrame(columns)[list(schema("alerts").names)]
    if isinstance(scheme.score, GivenScore):
        table[SCORE] = tiers.numbers[SCORE]
    return pd.concat([table, found.state[list(extra)]], axis=1)


def _status(tiers: Replay, n_tiers: int) -> Ints:
    """Places among the statuses; a lower number is a higher tier."""
    return np.select(
        [tiers.now == n_tiers, tiers.before == n_tiers, tiers.now == tiers.before, tiers.now < tiers.before],
        [STATUSES.index(each) for each in ("resolved", "new", "continued", "upgraded")],
        STATUSES.index("lowered"),
    ).astype(np.int64)


def _names(place: Ints, scheme: TierScheme) -> Any:
    """Tiers by place as an ordered categorical, lowest first."""
    import pandas as pd

    names = [tier.name for tier in scheme.tiers]
    codes = np.where(place == len(names), _NONE, len(names) - 1 - place)
    return pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(names[::-1], ordered=True))


def _dates(days: Ints) -> NDArray[np.datetime64]:
    return days.astype("datetime64[D]").astype("datetime64[s]")


def alert_counts(table: pd.DataFrame, scheme: TierScheme, *, living: int, silent: int) -> dict[str, int]:
    """How many rows there are of each kind."""
    there = table["tier"].notna().to_numpy()
    counts = {"in_tier": int(there.sum())}
    counts |= {each: int((table["status"] == each).sum()) for each in STATUSES[:-1]}
    counts |= {"held": int(table["held"].sum()), "resolved": int((~there).sum())}
    counts |= {f"resolved_by_{each}": int((table["resolved_by"] == each).sum()) for each in RESOLVED_BY}
    counts |= {f"tier {tier.name}": int((table["tier"] == tier.name).sum()) for tier in scheme.tiers}
    without = int(table["margin"].isna().to_numpy()[there].sum())
    return counts | {"living": living, "silent": silent, "without_margin": without}
