"""What a lift says in words: its one line, and the notes that a reader needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from churnsurv.data.assigned import CampaignRows
from churnsurv.recall.lift_tables import Settings
from churnsurv.survival.frames import counted
from churnsurv.survival.multiplicity import holds_together

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.recall.lift import Lift

__all__ = ["headline", "heterogeneity_words", "notes_of", "warnings_of"]

_LAWS = {
    "bootstrap-t": "Amounts are skewed: limits are the outer ones of bootstrap-t and normal, p-values 0.001 at least.",
    "skewness": "Amounts are skewed, and users too many to resample: their limits are moved outwards for skewness.",
    "normal": "Limits of some amounts are normal: with so many users their skewness moves no limit.",
}


def headline(lift: Lift) -> str:
    """The clearest arm in the first outcome, adjusted where it is."""
    table = lift.table
    shown = table[(table["outcome"] == lift.outcomes[0]) & (table["campaign"] == table["campaign"].iloc[0])]
    shown = shown[shown["adjusted"] == shown["adjusted"].max()]
    row = shown.sort_values("p_value", na_position="last").iloc[0]
    label = "observational, " if lift.design == "observational" else ""
    p = float(row["p_value"])
    said = "" if np.isnan(p) else ", p < 0.001" if p < 0.001 else f", p = {p:.3f}"
    # a user of two campaigns is in both
    one = "user" if len(lift.campaigns) == 1 else "assignment"
    return (
        f"{label}{counted(lift.n_users, one)}, {lift.n_returned:,} returned within {lift.horizon} days; "
        f"{row['arm']} against {lift.control}, {row['outcome']} {row['estimate']:.3g} {row['unit']} "
        f"({row['lower']:.3g} to {row['upper']:.3g}){said}"
    )


def warnings_of(checks: pd.DataFrame) -> tuple[str, ...]:
    """What the checks found to be broken, before all else."""
    broken = checks[checks["verdict"] == "broken"].fillna({"arm": ""})
    where = [f"{row['check']}, {row['campaign']} {row['arm']}".rstrip() for row in broken.to_dict("records")]
    return tuple(
        f"Not to be read as an experiment: {place}: {words}"
        for place, words in zip(where, broken["words"].tolist(), strict=True)
    )


def notes_of(
    rows: CampaignRows,
    settings: Settings,
    *,
    n_arms: int,
    covariates: Sequence[str],
    laws: Iterable[str],
    more: Iterable[str],
) -> tuple[str, ...]:
    """Everything that a reader must know, in order."""
    notes = [*rows.notes]
    short = int((rows.followed < rows.horizon).sum())
    if short:
        one = "user" if len(rows.campaigns) == 1 else "assignment"
        notes.append(
            f"{counted(short, one)} of {rows.n:,} could not be followed for {rows.horizon} "
            "days yet: they count for the days that they were followed for, and are not failures."
        )
    if {"active_days", "reinvested", "net_value", "days_live"} & set(settings.outcomes):
        notes.append(
            "Days and money are of all users assigned, what came after a return included: those who returned are no "
            "random part of them, so nothing is compared among them alone."
        )
    notes += _money(rows, settings)
    if n_arms > 1:
        together = holds_together(settings.adjust) or settings.adjust == "dunnett"
        notes.append(
            f"{n_arms} arms are compared with one control: p-values by {settings.adjust}; limits hold "
            f"{'for all of them together' if together else 'each alone'}."
        )
    if covariates:
        notes.append(
            f"Rows with adjusted = True are adjusted for {', '.join(covariates)}, all known before the assignment; "
            "curves are not adjusted."
        )
    notes += [_LAWS.get(law, law) for law in laws]
    return (*notes, *dict.fromkeys(more))


def _money(rows: CampaignRows, settings: Settings) -> list[str]:
    if "net_value" not in settings.outcomes:
        return []
    notes = []
    lacking = [word for word, name in (("costs of contacts", "cost"), ("rewards", "rewards")) if name not in rows.given]
    if lacking:
        notes.append(f"net_value has no {' and no '.join(lacking)}: none were given.")
    if np.any(rows.liability):
        notes.append(
            f"Rewards promised that may still be released after day {rows.horizon} are counted as paid in net_value: "
            "choose a horizon beyond their release window to see what becomes of them."
        )
    return notes


def heterogeneity_words(table: pd.DataFrame) -> str:
    """How subgroups are to be read."""
    columns = ", ".join(table["by"].unique())
    return (
        f"Subgroups by {columns}: an effect that is clear in one group and not in another is no sign that they differ; "
        "heterogeneity_p_value is the test of that."
    )
