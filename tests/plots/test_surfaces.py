"""The risk surface: shades are the risk of all gaps of a cell, and outlines lie where the rules hold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from churnsurv.errors import InputError, SchemaError
from churnsurv.plots.document import picture, svg
from churnsurv.plots.shades import churn_shade
from churnsurv.plots.surfaces import risk_surface, risk_surface_frame
from tests.plots.conftest import texts
from tests.warning.schemes import rule, scheme

BANDS = ["below 100", "100 to below 1,000", "1,000 and above", "(missing)"]
RULES = {"high": rule("idle_days > 15 and balance < 100"), "low": rule("idle_days > 7")}


def surface(bands: list[str] | None = None, name: str = "balance") -> pd.DataFrame:
    parts, days = [], np.arange(30)
    for place, band in enumerate(bands or BANDS):
        for late in (False, True):
            churn = 1 / (1 + np.exp(-(days - 15 - 3 * place + 4 * late) / 5))
            parts.append(
                pd.DataFrame(
                    {"group": band, "registration_gap": late, "idle_days": days, "n_gaps": 100 - 50 * late,
                     "n_churned": 5, "churn": churn, name: band}
                )
            )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def cells(ax: Axes) -> dict[tuple[int, int], float]:
    """The shade of each cell (row from below, idle day)."""
    found = {}
    for box in ax.patches:
        if str(box.get_gid()).startswith("churnsurv-risk"):
            x, y, width = box.get_x(), box.get_y(), box.get_width()
            for day in range(round(x + 0.5), round(x + 0.5 + width)):
                found[int(y), day] = box.get_alpha()
    return found


def edges(ax: Axes, style: str) -> set[tuple[float, float, float, float]]:
    """Rule lines of a style, as from and to."""
    found = set()
    for line in ax.lines:
        if str(line.get_gid()).startswith("churnsurv-rule") and line.get_linestyle() == style:
            x, y = (np.asarray(values).reshape(-1, 3) for values in (line.get_xdata(), line.get_ydata()))
            found |= {tuple(each) for each in np.column_stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]]).tolist()}
    return found


def test_shades_are_the_risk_of_both_kinds_of_gaps_together(ax: Axes) -> None:
    table = surface()
    assert risk_surface(table, ax) is ax
    weighted = table.assign(churn=table["churn"] * table["n_gaps"]).groupby(["group", "idle_days"])[["churn", "n_gaps"]]
    risk = weighted.sum().eval("churn / n_gaps")
    shades = cells(ax)
    for place, band in enumerate([BANDS[3], *BANDS[:3]]):
        for day in range(30):
            # days whose risk lies in the same tenth are one box
            assert abs(shades[place, day] - churn_shade(risk[band, day])) <= 0.1 * 0.57
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["(missing)", "< 100", "100–1,000", "≥ 1,000"]
    assert "Share who churn, by idle days and balance" in texts(ax)
    assert "lines: from here on in the tier or a higher one" not in texts(ax)


def test_shades_rise_with_the_risk_in_black_and_white(ax: Axes) -> None:
    risk_surface(surface(), ax)
    shades = cells(ax)
    for row in range(4):
        assert (np.diff([shades[row, day] for day in range(30)]) >= 0).all()
    assert max(shades.values()) < 0.65  # ink on it can be read


def test_outlines_lie_where_the_rules_begin(ax: Axes) -> None:
    risk_surface(surface(), ax, rules=scheme(RULES, grids={"balance": (100.0, 1000.0)}).bands())
    whole = edges(ax, "-")
    # rows from below: missing, < 100, 100-1,000, >= 1,000; no line on missing without a stand-in
    assert {(15.5, 1.0, 15.5, 2.0), (7.5, 1.0, 7.5, 2.0), (7.5, 2.0, 7.5, 3.0), (7.5, 3.0, 7.5, 4.0)} <= whole
    assert {(15.5, 2.0, 29.5, 2.0), (7.5, 1.0, 29.5, 1.0)} <= whole
    assert not {line for line in whole if line[1] < 1}
    assert edges(ax, "--") == set()
    assert {"high", "low", "lines: from here on in the tier or a higher one"} <= set(texts(ax))


def test_a_missing_value_stands_where_its_number_does(ax: Axes) -> None:
    risk_surface(surface(), ax, rules=scheme(RULES, grids={"balance": (100.0,)}).bands(), missing=0)
    assert {(15.5, 0.0, 15.5, 1.0), (7.5, 0.0, 7.5, 1.0)} <= edges(ax, "-")


def test_cells_of_which_only_some_users_are_in_a_tier_are_dashed() -> None:
    rules = {"high": rule("idle_days > 15 and balance < 100 and n_investments < 3"), "low": rule("idle_days > 20")}
    told = scheme(rules, variables=("balance", "n_investments")).bands()
    ax = Figure(figsize=(8, 5)).add_axes((0.3, 0.4, 0.4, 0.5))
    risk_surface(surface(), ax, rules=told)
    assert any("dashed: some of the users, by n_investments" in text for text in texts(ax))
    assert (15.5, 1.0, 15.5, 2.0) in edges(ax, "--")
    assert (20.5, 1.0, 20.5, 2.0) in edges(ax, "-")


def test_rules_must_be_of_the_variable_and_the_cuts(ax: Axes) -> None:
    other = scheme({"a": rule("idle_days > 9 and n_investments < 3")}, variables=("n_investments",)).bands()
    with pytest.raises(InputError, match=r"scheme\.bands\('balance'\)"):
        risk_surface(surface(), ax, rules=other)
    elsewhere = scheme({"a": rule("idle_days > 9 and balance < 250")}).bands()
    with pytest.raises(InputError, match="split balance at 250"):
        risk_surface(surface(), ax, rules=elsewhere)
    # a cut of the grid at which the tiers do not differ needs no band
    fine = scheme(RULES, grids={"balance": (100.0, 250.0, 1000.0)}).bands()
    risk_surface(surface(), ax, rules=fine)
    alone = scheme({"a": rule("idle_days > 9")}, variables=()).bands()
    risk_surface(surface(), Figure().add_subplot(), rules=alone)


def test_small_groups_that_are_pooled_have_no_outline(ax: Axes) -> None:
    table = surface(["below 100", "1,000 and above", "other"])
    risk_surface(table, ax, rules=scheme({"a": rule("idle_days > 9 and balance < 500")}).bands())
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["other", "< 100", "≥ 1,000"]
    assert (9.5, 1.0, 9.5, 2.0) in edges(ax, "-")
    assert not {line for line in edges(ax, "-") if line[1] > 2 or line[1] < 1}


def test_only_bands_of_one_variable_make_a_surface(ax: Axes) -> None:
    with pytest.raises(InputError, match="no bands of numbers"):
        risk_surface(surface(["organic", "below the line"], "channel"), ax)
    with pytest.raises(InputError, match="by nothing"):
        risk_surface(surface().drop(columns="balance"), ax)
    with pytest.raises(InputError, match="has no rows"):
        risk_surface(surface().head(0), ax)
    with pytest.raises(SchemaError, match="churn"):
        risk_surface(surface().drop(columns="churn"), ax)


@pytest.mark.parametrize("width", [290, 640])
def test_it_is_drawn_at_every_width(width: int) -> None:
    table, rules = surface(), scheme(RULES, grids={"balance": (100.0,)}).bands()
    frame = risk_surface_frame(table, width, rules=rules)
    document = svg(frame, lambda ax: risk_surface(table, ax, rules=rules, words={"title": "<b>{variable}"}))
    assert "&lt;b&gt;balance" in document


def test_a_risk_that_is_not_known_is_no_shade(ax: Axes) -> None:
    table = surface(BANDS[:2])
    table.loc[(table["group"] == BANDS[0]) & (table["idle_days"] > 25), "churn"] = np.nan
    risk_surface(table, ax)
    assert {day for row, day in cells(ax) if row == 0} == set(range(26))


def test_variables_have_the_words_of_the_caller() -> None:
    rules = {"high": rule("idle_days > 15 and balance < 100 and n_investments < 3"), "low": rule("idle_days > 20")}
    told = scheme(rules, variables=("balance", "n_investments")).bands()
    words = {"value.balance": "餘額", "value.n_investments": "投資次數"}
    table = surface()
    frame = risk_surface_frame(table, rules=told, words=words)
    made = picture(frame, lambda ax: risk_surface(table, ax, rules=told, words=words))
    assert "Share who churn, by idle days and 餘額" in made.document
    assert "dashed: some of the users, by 投資次數" in made.document
    names = [each.name for each in made.marks]
    assert "餘額 below 100" in names
    assert not any("balance" in text or "n_investments" in text for text in (made.document, *names))


def test_without_axes_a_figure_is_made() -> None:
    assert risk_surface(surface()).get_figure() is not None
