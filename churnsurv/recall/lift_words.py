"""What a lift says in words: its one line, and the notes that a reader needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from churnsurv.data.assigned import CampaignRows
from churnsurv.notes import Note, note
from churnsurv.recall.lift_tables import Settings
from churnsurv.survival.frames import counted
from churnsurv.survival.multiplicity import holds_together
from churnsurv.tables.said import said_as, said_covariate, said_list

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.recall.lift import Lift

__all__ = ["headline", "heterogeneity_words", "notes_of", "several_arms", "warnings_of"]

_LAWS = {
    "bootstrap-t": note(
        "Amounts are skewed: limits are the outer ones of bootstrap-t and normal, p-values 0.001 at least."
    ),
    "skewness": note(
        "Amounts are skewed, and users too many to resample: their limits are moved outwards for skewness."
    ),
    "normal": note("Limits of some amounts are normal: with so many users their skewness moves no limit."),
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
    return tuple(
        note(
            "Not to be read as an experiment: {check}, {where}: {words}",
            check=row["check"],
            where=f"{row['campaign']} {row['arm']}".rstrip(),
            words=row["words"],
        )
        for row in broken.to_dict("records")
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
    notes: list[str] = [*rows.notes]
    short = int((rows.followed < rows.horizon).sum())
    if short:
        one = "user" if len(rows.campaigns) == 1 else "assignment"
        notes.append(
            note(
                "{users} of {n} could not be followed for {days} days yet: they count for the days that they were "
                "followed for, and are not failures.",
                users=counted(short, one),
                n=f"{rows.n:,}",
                days=rows.horizon,
            )
        )
    if {"active_days", "reinvested", "net_value", "days_live"} & set(settings.outcomes):
        notes.append(
            note(
                "Days and money are of all users assigned, what came after a return included: those who returned are "
                "no random part of them, so nothing is compared among them alone."
            )
        )
    notes += _money(rows, settings)
    if n_arms > 1:
        together = holds_together(settings.adjust) or settings.adjust == "dunnett"
        notes.append(several_arms(n_arms, settings.adjust, together=together))
    if covariates:
        notes.append(
            note(
                "Rows with adjusted = True are adjusted for {names}, all known before the assignment; curves are not "
                "adjusted.",
                names=said_list(map(said_covariate, covariates)),
            )
        )
    notes += [_LAWS.get(law, law) for law in laws]
    return (*notes, *dict.fromkeys(more))


def several_arms(n_arms: int, adjust: str, *, together: bool) -> Note:
    """How several arms are compared with one control."""
    method = {
        "holm": note("holm"),
        "dunnett": note("dunnett"),
        "bonferroni": note("bonferroni"),
        "hommel": note("hommel"),
        "fdr_bh": note("fdr_bh"),
        "fdr_by": note("fdr_by"),
        "none": said_as("none", note("no correction")),
    }[adjust]
    if together:
        return note(
            "{n} arms are compared with one control: p-values by {method}; limits hold for all of them together.",
            n=n_arms,
            method=method,
        )
    return note(
        "{n} arms are compared with one control: p-values by {method}; limits hold each alone.", n=n_arms, method=method
    )


def _money(rows: CampaignRows, settings: Settings) -> list[str]:
    if "net_value" not in settings.outcomes:
        return []
    notes: list[str] = []
    free, unpaid = ("cost" not in rows.given), ("rewards" not in rows.given)
    if free and unpaid:
        notes.append(note("net_value has no costs of contacts and no rewards: none were given."))
    elif free:
        notes.append(note("net_value has no costs of contacts: none were given."))
    elif unpaid:
        notes.append(note("net_value has no rewards: none were given."))
    if np.any(rows.liability):
        notes.append(
            note(
                "Rewards promised that may still be released after day {day} are counted as paid in net_value: choose "
                "a horizon beyond their release window to see what becomes of them.",
                day=rows.horizon,
            )
        )
    return notes


def heterogeneity_words(table: pd.DataFrame) -> str:
    """How subgroups are to be read."""
    return note(
        "Subgroups by {columns}: an effect that is clear in one group and not in another is no sign that they differ; "
        "heterogeneity_p_value is the test of that.",
        columns=said_list(table["by"].unique()),
    )
