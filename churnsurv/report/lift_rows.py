"""Rows of a lift as the report tells them: campaigns in order, adjusted rows where there are some, and numbers."""

from __future__ import annotations

from typing import Any

from churnsurv.report.numbers import exists

__all__ = ["ALL", "broken_checks", "campaigns_of", "is_adjusted", "lift_rows", "outcome_rows"]

Row = dict[Any, Any]

#: The rows of all campaigns together.
ALL = "(all)"


def campaigns_of(lift: Any) -> list[str]:
    """The campaigns of a lift; all together first, where there are such rows."""
    found = [str(each) for each in lift.table["campaign"].drop_duplicates()]
    return sorted(found, key=lambda each: each != ALL)


def lift_rows(lift: Any, campaign: str, outcome: str) -> list[Row]:
    """The rows of an outcome, one for each arm: adjusted ones where there are some."""
    frame = lift.table
    mine = frame[(frame["campaign"] == campaign) & (frame["outcome"] == outcome)]
    if mine.empty:
        return []
    rows: list[Row] = mine[mine["adjusted"] == mine["adjusted"].max()].to_dict("records")
    return rows


def is_adjusted(lift: Any, campaign: str) -> bool:
    """Whether the rows that are told are adjusted for covariates; arms may be too small for that."""
    frame = lift.table
    return bool(frame.loc[frame["campaign"] == campaign, "adjusted"].any())


def outcome_rows(lift: Any, campaign: str, outcome: str) -> list[Row]:
    """The same, without arms of which nothing can be told."""
    return [row for row in lift_rows(lift, campaign, outcome) if exists(row["estimate"])]


def broken_checks(lift: Any) -> list[Row]:
    """The checks that say that arms differ in more than the contact."""
    frame = lift.checks
    rows: list[Row] = frame[frame["verdict"] == "broken"].to_dict("records")
    return rows
