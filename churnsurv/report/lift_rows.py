"""Rows of a lift as the report tells them: campaigns in order, adjusted rows where there are some, and numbers."""

from __future__ import annotations

from typing import Any

from churnsurv.report.numbers import NOTHING, exists, quantity

__all__ = ["ALL", "broken_checks", "campaigns_of", "is_adjusted", "lift_rows", "money", "outcome_rows", "returns"]

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


def returns(value: Any) -> str:
    """Users in a thousand: whole from ten on.

    Examples
    --------
    >>> returns(88.6), returns(4.34), returns(-0.5)
    ('89', '4.3', '-0.5')
    """
    if not exists(value):
        return NOTHING
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.1f}"


def money(value: Any) -> str:
    """Amounts and days per thousand users: large ones in thousands (k) and millions (M).

    Examples
    --------
    >>> money(4_303_379.0), money(-33_875.6), money(345.4), money(float("nan"))
    ('4.30M', '-33.9k', '345', '–')
    """
    if not exists(value):
        return NOTHING
    if abs(value) >= 1e6:
        return f"{value / 1e6:,.2f}M"
    if abs(value) >= 1e4:
        return f"{value / 1e3:,.1f}k"
    return returns(value) if abs(value) >= 10 else quantity(value)
