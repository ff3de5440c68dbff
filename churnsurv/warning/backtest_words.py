"""What a backtest says in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from churnsurv.notes import Note, note
from churnsurv.tables.said import said_list, said_rule, said_variable
from churnsurv.warning.backtest_origin import FITTED, Judged
from churnsurv.warning.backtest_windows import Window
from churnsurv.warning.hysteresis import hysteresis_notes, said_widths
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
        note(
            "A scheme that had seen days through {date} is judged on the gaps that began in the {days} days after it; "
            "all of them are followed to their end.",
            date=judged[0].scheme.known_until,
            days=days,
        )
        if frozen
        else note(
            "At each origin rules are fitted to what was known at its end, and judged on the gaps that began in the "
            "{days} days after it; all of them are followed to their end.",
            days=days,
        )
    )
    notes: list[str] = [
        what,
        note(
            "Per first alert a gap counts once in a tier; per row a user counts on every idle day on which the rule "
            "holds. Limits (level {level}) take users as independent and the rules as given.",
            level=f"{level:g}",
        ),
    ]
    notes += [*_kept(judged, table, own_worth=own_worth), *_overlaps(spans), *_rules(judged, frozen=frozen)]
    capped = [tier.name for tier in judged[0].scheme.tiers if tier.objective["kind"] == "capacity"]
    lines = _lines(capped, judged)
    notes += [*lines, *_moving(judged[0].scheme), *_unscored(covered), *_by_table(covered, in_line=bool(lines))]
    unknown = [str(span.origin) for span, each in zip(spans, judged, strict=True) if not each.curves]
    if unknown:
        notes.append(_unranked(unknown, capped))
    return notes


def _unranked(origins: Sequence[str], capped: Sequence[str]) -> Note:
    """That there is nothing to rank users by at some origins."""
    said = note(
        "Before {origins} the log has no gap of which all is known, so that there is nothing to rank users by: the "
        "gains curve and policies of a capacity leave this out, and there is no 'most accurate'.",
        origins=said_list(origins),
    )
    if not capped:
        return said
    tiers: str = capped[0]
    for tier in capped[1:]:
        tiers = note("{some} and {others}", some=tiers, others=tier)
    return note("{said} Alerts of {tiers} are drawn by lot.", said=said, tiers=tiers)


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
        told[: len(first)] = [
            note(
                "Hysteresis ({widths}): up to the next activity a user stays in a tier while its rule, that of the "
                "origin, holds with these thresholds moved by that share of them. A higher tier is entered at once.",
                widths=said_widths(widths),
            )
        ]
    how = note(
        "Within a silence users change their tier {changes} times per 1,000 gaps, {falls} of them down or out; without "
        "hysteresis {changes_without} and {falls_without}.",
        **{name: f"{value:,.4g}" for name, value in changes.items()},
    )
    if isinstance(schemes[0].score, GapScore):
        how = note(
            "{said} Here a score is that of the state at the beginning of a gap: it only rises in silence, so that "
            "hardly anybody has a tier to be held in.",
            said=how,
        )
    return [*told, how]


def _lines(capped: Sequence[str], judged: Sequence[Judged]) -> list[str]:
    """That alerts wait for each other, where they do."""
    if not capped and not any(policy.endswith(" alerts a day") for policy, _ in judged[0].sums):
        return []
    return [
        note(
            "Where alerts are limited, no calendar day has more than that many first alerts, the most urgent first; "
            "the others wait while the rule holds. Gaps that began before and after the days judged stand in line, "
            "too. Alerts are counted by the day on which their gap began, so that their number a day may differ a "
            "little. Equals draw lots: figures are means over them, and their limits take the chances as given."
        )
    ]


def _moving(scheme: TierScheme) -> list[str]:
    """That a score is judged by its value at the beginning of a gap, where it may change in silence."""
    if not isinstance(scheme.score, GapScore):
        return []
    return [
        note(
            "{said} Here they are judged by it, too; assign takes the value of the day, and may give other tiers.",
            said=said,
        )
        for each in scheme.variables
        if (said := may_move(each, scheme.churn_rule))
    ]


def _unscored(covered: Sequence[Coverage]) -> list[str]:
    """Gaps that a fit cannot score, though it was fitted to gaps with all numbers."""
    n = sum(each.gaps for each in covered)
    names = dict.fromkeys(name for each in covered for name in each.without)
    counts = {name: sum(each.without.get(name, 0) for each in covered) for name in names}
    notes: list[str] = [
        note(
            "{name}: {n} of the {gaps} gaps judged ({share}) began without a value: no score, and no alert.",
            name=said_variable(name),
            n=f"{count:,}",
            gaps=f"{n:,}",
            share=f"{count / n:.1%}",
        )
        for name, count in counts.items()
    ]
    beyond = sum(each.beyond for each in covered)
    if beyond:
        notes.append(
            note(
                "{n} of the {gaps} gaps judged ({share}) began with numbers for which the formula has no value, such "
                "as one beyond the bounds of a spline: no score, and no alert.",
                n=f"{beyond:,}",
                gaps=f"{n:,}",
                share=f"{beyond / n:.1%}",
            )
        )
    return notes


def _by_table(covered: Sequence[Coverage], *, in_line: bool) -> list[str]:
    """On how many days of the gaps judged an older score of the table stands in, who has none, and rows left out."""
    told = [each.table for each in covered if each.table]
    days, carried, before, never = (
        sum(each[name] for each in told) for name in ("days", "days_carried", "days_before", "never")
    )
    whose = note("the gaps judged and those in line with them") if in_line else note("the gaps judged")
    notes: list[str] = []
    if carried:
        notes.append(
            note(
                "score: {n} of {days} idle days of {whose} ({share}) have no row of their own and carry the last one "
                "before, for up to {longest} days.",
                n=f"{carried:,}",
                days=f"{days:,}",
                whose=whose,
                share=f"{carried / days:.1%}",
                longest=f"{max(each['longest_carry'] for each in told):,}",
            )
        )
    if before:
        notes.append(
            note(
                "score: {n} of {days} idle days of {whose} lie before the first score of their user. {never} gaps "
                "never have a score, and no alert.",
                n=f"{before:,}",
                days=f"{days:,}",
                whose=whose,
                never=f"{never:,}",
            )
        )
    # the same table for each origin
    rows = next((each.rows for each in covered if each.rows), {})
    left = said_list(_left_out(name, n) for name, n in rows.items() if n and name not in ("read", "used"))
    if left:
        notes.append(note("score: of {n} rows these are left out: {rows}.", n=f"{rows['read']:,}", rows=left))
    return notes


def _left_out(reason: str, n: int) -> str:
    """So many rows of a table of scores, and why they are not used."""
    number = f"{n:,}"
    said = {
        "unknown_user": note("{n} unknown user", n=number),
        "outside_log": note("{n} outside log", n=number),
        "no_score": note("{n} no score", n=number),
        "missing_user_id": note("{n} missing user id", n=number),
        "missing_date": note("{n} missing date", n=number),
        "unparsable_date": note("{n} unparsable date", n=number),
        "repeated": note("{n} repeated", n=number),
    }
    return said[reason] if reason in said else f"{number} {reason.replace('_', ' ')}"


def _kept(judged: Sequence[Judged], table: pd.DataFrame, *, own_worth: bool) -> list[str]:
    """What training promised, and what later days kept; values only where both are of the same worth."""
    notes: list[str] = []
    pooled = table[table["origin"].isna() & (table["policy"] == FITTED)].set_index("tier")
    for place, tier in enumerate(judged[0].scheme.tiers):
        row = pooled.loc[tier.name]
        promised = [each.scheme.tiers[place].figures for each in judged]
        parts = []
        for name in ("precision", "value") if own_worth else ("precision",):
            known = [each for figures in promised if not np.isnan(each := float(figures.get(name, np.nan)))]
            if known and not np.isnan(row[name]):
                parts.append(_promised(name, float(np.mean(known)), row[name]))
        if len(parts) == 2:
            notes.append(note("{tier}: {precision}; {value}.", tier=tier.name, precision=parts[0], value=parts[1]))
        elif parts:
            notes.append(note("{tier}: {said}.", tier=tier.name, said=parts[0]))
    return notes


def _promised(name: str, before: float, later: Any) -> Note:
    """A figure of a tier in training and on later days."""
    if name == "precision":
        return note(
            "{before} of first alerts right in training, {later} of first alerts right on later days",
            before=f"{before:.1%}",
            later=f"{later:.1%}",
        )
    return note(
        "{before} per 1,000 gaps in training, {later} per 1,000 gaps on later days",
        before=f"{before:,.4g}",
        later=f"{later:,.4g}",
    )


def _overlaps(spans: Sequence[Window]) -> list[str]:
    over = [later for before, later in pairwise(spans) if later.first <= before.last]
    if not over:
        return []
    return [
        note("Test days of neighbouring origins overlap: some gaps are judged more than once, by rules of each origin.")
    ]


def _rules(judged: Sequence[Judged], *, frozen: bool) -> list[str]:
    if frozen or len(judged) < 2:
        return []
    notes: list[str] = []
    for place, tier in enumerate(judged[0].scheme.tiers):
        rules = [str(each.scheme.tiers[place].rule) for each in judged]
        most = max(dict.fromkeys(rules), key=rules.count)
        notes.append(
            note(
                "{tier}: {n} of {origins} origins give the rule {rule}.",
                tier=tier.name,
                n=rules.count(most),
                origins=len(rules),
                rule=said_rule(most),
            )
        )
    return notes
