"""Churned and retained users side by side: table one of the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from churnsurv.report.catalogue import Catalogue
from churnsurv.report.group_names import group_of
from churnsurv.report.material import Material
from churnsurv.report.model import Table
from churnsurv.report.numbers import between, count, exists, quantity, share
from churnsurv.report.pieces import estimate, point_of, table
from churnsurv.report.profile_words import SHARES, number_of, variable_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["table_one"]

Row = dict[Any, Any]

_ROWS = 60


def table_one(material: Material, early: Any) -> Table:
    """Return both groups side by side: mean and quartiles of each variable in two rows instead of five."""
    words, several = material.words, len(early.groups) > 1
    headings = [words.text(f"one.{key}") for key in ("what", "churned", "retained", "difference")]
    rows = [
        [words.headed(group_of(words, group), cells[0]) if several else cells[0], *cells[1:]]
        for group, part in early.table_one.groupby("group", sort=False)
        for cells in _one_rows(words, part)
    ]
    title = words.text("one.title", window=count(early.window))
    return table(title, headings, rows[:_ROWS], note=words.text("one.note"))


def _one_rows(words: Catalogue, part: pd.DataFrame) -> Iterator[list[str]]:
    for variable, rows in part.groupby("variable", sort=False):
        by = {row["statistic"]: row for row in rows.to_dict("records")}
        label = variable_of(words, str(variable))
        if "users" in by:
            yield [words.text("one.users"), *(count(by["users"][side]) for side in ("churned", "retained")), ""]
        if "mean" in by:
            mean, spread = by["mean"], by["standard deviation"]
            form = share if variable in SHARES else quantity
            cells = [form(mean[side]) + words.bracketed(form(spread[side])) for side in ("churned", "retained")]
            yield [words.text("one.mean", variable=label), *cells, _standardised(mean)]
            parts = [by[each] for each in ("lower quartile", "median", "upper quartile")]
            sides = [[each[side] for each in parts] for side in ("churned", "retained")]
            cells = [_quartiles(words, str(variable), values) for values in sides]
            yield [words.text("one.median", variable=label), *cells, ""]
        for statistic, key in (("share yes", "one.yes"), ("share without a value", "one.missing")):
            if statistic in by:
                row = by[statistic]
                cells = [share(row[side]) for side in ("churned", "retained")]
                yield [words.text(key, variable=label), *cells, _standardised(row)]


def _quartiles(words: Catalogue, variable: str, values: Sequence[float]) -> str:
    low, middle, high = (number_of(variable, value) for value in values)
    return middle + words.bracketed(between(low, high))


def _standardised(row: Row) -> str:
    point = point_of(row, "standardised_difference")
    return estimate(point, quantity) if exists(point.estimate) else ""
