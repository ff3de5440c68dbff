"""What a backtest says in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from churnsurv.warning.backtest_origin import FITTED, Judged
from churnsurv.warning.backtest_windows import Window
from churnsurv.warning.hysteresis import hysteresis_notes
from churnsurv.warning.scores import GapScore
from churnsurv.warning.tier_words import may_move

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.warning.backtest_scores import Coverage
    from churnsurv.warning.scheme import TierScheme

__all__ = ["headline", "held_notes", "notes_of"]


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
    covered: Sequence[Coverage],
    frozen: bool,
    own_worth: bool,
    level: float,
) -> list[str]:
    """What a reader must know; `covered` says of each origin for which gaps there is a score."""
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
    lines = _lines(capped, judged)
    notes += [*lines, *_moving(judged[0].scheme), *_unscored(covered), *_by_table(covered, in_line=bool(lines))]
    unknown = [str(span.origin) for span, each in zip(spans, judged, strict=True) if not each.curves]
    if unknown:
        notes.append(
            f"Before {', '.join(unknown)} the log has no gap of which all is known, so that there is nothing to rank "
            "users by: the gains curve and policies of a capacity leave this out, and there is no 'most accurate'."
            + (f" Alerts of {' and '.join(capped)} are drawn by lot." if capped else "")
        )
    return notes


def held_notes(schemes: Sequence[TierScheme], widths: Mapping[str, float], changes: Mapping[str, float]) -> list[str]:
    """What hysteresis did.

    Parameters
    ----------
    schemes : sequence of TierScheme
        Of each origin.
    widths : Mapping of str to float
    changes : Mapping of str to float
        As `changes_per_1000` gives them.
    """
    if not widths:
        return []
    first = dict.fromkeys(hysteresis_notes(scheme, widths)[0] for scheme in schemes)
    still = dict.fromkeys(note for scheme in schemes for note in hysteresis_notes(scheme, widths)[1:])
    told = [*first, *still]
    if len(first) > 1:
        named = ", ".join(f"{name} {width:.12g}" for name, width in widths.items())
        told[: len(first)] = [
            f"Hysteresis ({named}): up to the next activity a user stays in a tier while its rule, that of the origin, "
            "holds with these thresholds moved by that share of them. A higher tier is entered at once."
        ]
    how = (
        f"Within a silence users change their tier {changes['changes']:,.4g} times per 1,000 gaps, "
        f"{changes['falls']:,.4g} of them down or out; without hysteresis {changes['changes_without']:,.4g} and "
        f"{changes['falls_without']:,.4g}."
    )
    if isinstance(schemes[0].score, GapScore):
        how += (
            " Here a score is that of the state at the beginning of a gap: it only rises in silence, so that hardly "
            "anybody has a tier to be held in."
        )
    return [*told, how]


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


def _moving(scheme: TierScheme) -> list[str]:
    """That a score is judged by its value at the beginning of a gap, where it may change in silence."""
    if not isinstance(scheme.score, GapScore):
        return []
    return [
        f"{note} Here they are judged by it, too; assign takes the value of the day, and may give other tiers."
        for each in scheme.variables
        if (note := may_move(each, scheme.churn_rule))
    ]


def _unscored(covered: Sequence[Coverage]) -> list[str]:
    """Gaps that a fit cannot score, though it was fitted to gaps with all numbers."""
    n = sum(each.gaps for each in covered)
    names = dict.fromkeys(name for each in covered for name in each.without)
    counts = {name: sum(each.without.get(name, 0) for each in covered) for name in names}
    notes = [
        f"{name}: {count:,} of the {n:,} gaps judged ({count / n:.1%}) began without a value: no score, and no alert."
        for name, count in counts.items()
    ]
    beyond = sum(each.beyond for each in covered)
    if beyond:
        notes.append(
            f"{beyond:,} of the {n:,} gaps judged ({beyond / n:.1%}) began with numbers for which the formula has no "
            "value, such as one beyond the bounds of a spline: no score, and no alert."
        )
    return notes


def _by_table(covered: Sequence[Coverage], *, in_line: bool) -> list[str]:
    """On how many days of the gaps judged an older score of the table stands in, who has none, and rows left out."""
    told = [each.table for each in covered if each.table]
    days, carried, before, never = (
        sum(each[name] for each in told) for name in ("days", "days_carried", "days_before", "never")
    )
    whose = "the gaps judged" + (" and those in line with them" if in_line else "")
    notes = []
    if carried:
        notes.append(
            f"score: {carried:,} of {days:,} idle days of {whose} ({carried / days:.1%}) have no row of their own and "
            f"carry the last one before, for up to {max(each['longest_carry'] for each in told):,} days."
        )
    if before:
        notes.append(
            f"score: {before:,} of {days:,} idle days of {whose} lie before the first score of their user. {never:,} "
            "gaps never have a score, and no alert."
        )
    # the same table for each origin
    rows = next((each.rows for each in covered if each.rows), {})
    left = [f"{n:,} {name.replace('_', ' ')}" for name, n in rows.items() if n and name not in ("read", "used")]
    if left:
        notes.append(f"score: of {rows['read']:,} rows these are left out: {', '.join(left)}.")
    return notes


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
