"""What a backtest says in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from churnsurv.warning.backtest_origin import FITTED, Judged
from churnsurv.warning.backtest_windows import Window

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["headline", "notes_of"]


def headline(
    table: pd.DataFrame, accuracy: pd.DataFrame, differences: pd.DataFrame, origins: Sequence[date], test_days: int
) -> str:
    """The line with the numbers that matter."""
    rows = table[table["origin"].isna() & (table["policy"] == FITTED) & table["tier"].notna()]
    parts = [_tier(row, differences) for _, row in rows.iterrows()]
    last = accuracy[(accuracy["policy"] == FITTED)].iloc[-1]
    right = f"accuracy {last['accuracy']:.1%} where always saying no has {last['always_no']:.1%}"
    span = f"{origins[0]}" if len(origins) == 1 else f"{len(origins)} origins {origins[0]} to {origins[-1]}"
    return f"{'; '.join(parts)}; {right}; {int(rows['n_gaps'].iloc[0]):,} gaps, {test_days} days after {span}"


def _tier(row: pd.Series[Any], differences: pd.DataFrame) -> str:
    if row["alerts"] == 0:
        return f"{row['tier']}: no alert"
    limits = (
        ""
        if np.isnan(row["precision_lower"])
        else f" ({100 * row['precision_lower']:.0f} to {100 * row['precision_upper']:.0f})"
    )
    said = f"{row['tier']}: {row['alerts_per_day']:,.1f} first alerts a day, {row['precision']:.0%} right{limits}"
    mine = differences[differences["tier"] == row["tier"]]
    if mine.empty:
        return said
    # the policy that is hardest to beat
    hard = mine.loc[mine["estimate"].idxmin()]
    return (
        f"{said}, worth {hard['estimate']:+,.4g} ({hard['lower']:+,.4g} to {hard['upper']:+,.4g}) per 1,000 gaps "
        f"against {hard['compared_with']}"
    )


def notes_of(
    spans: Sequence[Window],
    judged: Sequence[Judged],
    table: pd.DataFrame,
    *,
    frozen: bool,
    own_worth: bool,
    level: float,
) -> list[str]:
    """What a reader must know."""
    days = spans[0].n_days
    what = (
        f"A scheme that had seen days through {judged[0].scheme.known_until} is judged"
        if frozen
        else "At each origin rules are fitted to what was known at its end, and judged"
    )
    notes = [
        f"{what} on the gaps that began in the {days} days after it; all of them are followed to their end.",
        "Per first alert a gap counts once in a tier; per row a user counts on every idle day on which the rule holds. "
        f"Limits (level {level:g}) take users as independent and the rules as given.",
    ]
    notes += [*_kept(judged, table, own_worth=own_worth), *_overlaps(spans), *_rules(judged, frozen=frozen)]
    capped = [tier.name for tier in judged[0].scheme.tiers if tier.objective["kind"] == "capacity"]
    notes += _lines(capped, judged)
    unknown = [str(span.origin) for span, each in zip(spans, judged, strict=True) if not each.curves]
    if unknown:
        notes.append(
            f"Before {', '.join(unknown)} the log has no gap of which all is known, so that there is nothing to rank "
            "users by: the gains curve and policies of a capacity leave this out, and there is no 'most accurate'."
            + (f" Alerts of {' and '.join(capped)} are drawn by lot." if capped else "")
        )
    return notes


def _lines(capped: Sequence[str], judged: Sequence[Judged]) -> list[str]:
    """That alerts wait for each other, where they do."""
    if not capped and not any(policy.endswith(" alerts a day") for policy, _ in judged[0].sums):
        return []
    return [
        "Where alerts are limited, no calendar day has more than that many first alerts, the most urgent first; the "
        "others wait while the rule holds. Gaps that began before and after the days judged stand in line, too. Alerts "
        "are counted by the day on which their gap began, so that their number a day may differ a little. Equals draw "
        "lots: figures are means over them, and their limits take the chances as given."
    ]


def _kept(judged: Sequence[Judged], table: pd.DataFrame, *, own_worth: bool) -> list[str]:
    """What training promised, and what later days kept; values only where both are of the same worth."""
    notes, said = [], {"precision": "{:.1%} of first alerts right"}
    if own_worth:
        said["value"] = "{:,.4g} per 1,000 gaps"
    pooled = table[table["origin"].isna() & (table["policy"] == FITTED)].set_index("tier")
    for place, tier in enumerate(judged[0].scheme.tiers):
        row = pooled.loc[tier.name]
        promised = [each.scheme.tiers[place].figures for each in judged]
        parts = []
        for name, text in said.items():
            known = [each for figures in promised if not np.isnan(each := float(figures.get(name, np.nan)))]
            if known and not np.isnan(row[name]):
                mean = float(np.mean(known))
                parts.append(f"{text.format(mean)} in training, {text.format(row[name])} on later days")
        if parts:
            notes.append(f"{tier.name}: {'; '.join(parts)}.")
    return notes


def _overlaps(spans: Sequence[Window]) -> list[str]:
    over = [later for before, later in pairwise(spans) if later.first <= before.last]
    if not over:
        return []
    return ["Test days of neighbouring origins overlap: some gaps are judged more than once, by rules of each origin."]


def _rules(judged: Sequence[Judged], *, frozen: bool) -> list[str]:
    if frozen or len(judged) < 2:
        return []
    notes = []
    for place, tier in enumerate(judged[0].scheme.tiers):
        rules = [str(each.scheme.tiers[place].rule) for each in judged]
        most = max(dict.fromkeys(rules), key=rules.count)
        notes.append(f"{tier.name}: {rules.count(most)} of {len(rules)} origins give the rule {most}.")
    return notes
