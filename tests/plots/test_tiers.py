"""The map of tiers: each cell is what `assign` says, names and rules in words, shades that print."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from churnsurv.errors import InputError, SchemaError
from churnsurv.plots.document import picture, svg, themed
from churnsurv.plots.tiers import tier_bands, tier_bands_frame
from churnsurv.tables import schema
from churnsurv.warning.rules import Rule
from tests.plots.conftest import texts
from tests.warning.schemes import THREE, rule, scheme

PLAIN = {"high": rule("idle_days > 15 and balance < 100"), "low": rule("idle_days > 7")}


def areas(ax: Axes) -> list[tuple[int, float, float, float, float]]:
    """Tier, left, bottom, width and height of each area."""
    return [
        (int(str(box.get_gid()).rsplit("-", 1)[1]), box.get_x(), box.get_y(), box.get_width(), box.get_height())
        for box in ax.patches
        if isinstance(box, Rectangle) and str(box.get_gid()).startswith("churnsurv-tier-")
    ]


def wide() -> Axes:
    return Figure(figsize=(10, 8)).add_axes((0.15, 0.15, 0.8, 0.6))


def test_bands_by_hand(ax: Axes) -> None:
    table = scheme(PLAIN, grids={"balance": (100.0,)}).bands()
    assert list(table) == list(schema("tier_bands").names)
    rows = table[["band", "tier", "first_day", "last_day"]].to_numpy().tolist()
    assert rows == [
        ["below 100", "low", 8, 15], ["below 100", "high", 16, 29], ["100 and above", "low", 8, 29],
    ]  # fmt: skip
    tier_bands(table, ax, idle_days=30)
    assert sorted(areas(ax)) == [(0, 15.5, 0, 14, 1), (1, 7.5, 0, 8, 1), (1, 7.5, 1, 22, 1)]
    assert ax.get_xlim() == (-0.5, 29.5)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["100"]


@pytest.mark.parametrize("variable", [None, "balance", "n_investments"])
@pytest.mark.parametrize("rules", [PLAIN, THREE, {"a": rule("idle_days < 9"), "b": rule("balance >= 7")}])
def test_each_cell_is_what_assign_says(rules: dict[str, Rule], variable: str | None) -> None:
    told = scheme(rules, variables=("balance", "n_investments"))
    table = told.bands(variable)
    name = table["variable"].iloc[0]
    values = {"balance": [-5, 0, 7, 50, 99.99, 100, 500, 1000, 2000], "n_investments": [0, 2, 3, 9]}
    for balance, investments in itertools.product(*values.values()):
        user = {"balance": balance, "n_investments": investments}
        days = pd.DataFrame({"user_id": range(30), "idle_days": range(30), **user})
        mine = table[~(table["band_lower"] > user[name]) & ~(table["band_upper"] <= user[name]) & table["band"].notna()]
        mine = mine[[_holds(others, user) for others in mine["others"]]]
        drawn = np.full(30, None, dtype=object)
        for row in mine[mine["tier"].notna()].itertuples():
            drawn[int(row.first_day) : int(row.last_day) + 1] = row.tier
        assigned = told.assign(days).table["tier"].astype(object)
        assert drawn.tolist() == assigned.where(assigned.notna(), None).tolist()


def _holds(others: str | None, user: dict[str, float]) -> bool:
    """Whether a user is one of those: "balance 100 to below 1,000, n_investments below 3"."""
    if not isinstance(others, str):
        return True
    for part in others.split(", "):
        name, *words = part.replace(",", "").split(" ")
        value = user[name]
        if words[0] == "below":
            fits = value < float(words[1])
        elif words[1] == "and":
            fits = value >= float(words[0])
        else:
            fits = float(words[0]) <= value < float(words[3])
        if not fits:
            return False
    return True


def test_areas_do_not_overlap_and_neighbours_are_one() -> None:
    ax = wide()
    tier_bands(scheme(THREE).bands(), ax)
    boxes = areas(ax)
    for one, other in itertools.combinations(boxes, 2):
        across = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
        up = min(one[2] + one[4], other[2] + other[4]) - max(one[2], other[2])
        assert across <= 0 or up <= 0
    assert len(boxes) == 9


def test_names_rules_and_first_days_stand_in_words() -> None:
    ax = wide()
    tier_bands(scheme(PLAIN).bands(), ax, idle_days=30)
    assert {
        *("high, from day 16", "low, from day 8", "high: idle_days > 15 and balance < 100", "low: idle_days > 7"),
        *("Warning tier by idle days and balance", "Idle days; churn on day 30"),
    } <= set(texts(ax))
    many = wide()
    tier_bands(scheme(THREE).bands(), many)
    assert {"n_investments below 3", "n_investments 3 and above"} <= set(texts(many))


def test_a_tier_that_nobody_can_be_in_is_in_the_key_alone() -> None:
    ax = wide()
    tier_bands(scheme({"high": Rule(), "low": rule("idle_days > 7")}).bands(), ax)
    assert "high: contact nobody" in texts(ax)
    assert {tier for tier, *_ in areas(ax)} == {1}
    assert "Warning tier by idle days" in texts(ax)
    nobody = wide()
    tier_bands(scheme({"high": Rule()}).bands(), nobody, idle_days=30)
    assert areas(nobody) == []


def test_shades_can_be_told_apart_in_black_and_white() -> None:
    ax = wide()
    names = [str(i) for i in range(4)]
    told = scheme({name: rule(f"idle_days > {20 - 5 * i}") for i, name in enumerate(names)})
    tier_bands(told.bands(), ax)
    grey = {
        int(str(box.get_gid())[-1]): 1 - box.get_alpha() * (1 - _grey(box.get_facecolor()[:3]))
        for box in ax.patches
        if str(box.get_gid()).startswith("churnsurv-tier-")
    }
    steps = np.diff([grey[i] for i in range(4)])
    assert (steps > 0.08).all()
    assert grey[0] > 0.45  # ink on it can be read
    assert grey[3] < 0.95  # and the lightest is not paper


def _grey(colour: tuple[float, float, float]) -> float:
    return float(np.dot(to_rgb(colour), [0.2126, 0.7152, 0.0722]))


def test_labels_only_where_there_is_room() -> None:
    narrow = Figure(figsize=(2.2, 3)).add_axes((0.3, 0.2, 0.6, 0.5))
    tier_bands(scheme(PLAIN).bands(), narrow)
    assert "high, from day 16" not in texts(narrow)
    assert "high" in texts(narrow)


def test_rules_wrap_within_a_narrow_figure() -> None:
    table = scheme(THREE).bands()
    assert tier_bands_frame(table, 340).top > tier_bands_frame(table, 640).top
    frame = tier_bands_frame(table, 340)
    figure = Figure()
    ax = frame.place(figure)
    tier_bands(table, ax)
    figure.canvas.draw()
    for text in ax.texts:
        box = text.get_window_extent()
        assert box.x1 <= figure.bbox.x1 + 2
        assert box.y1 <= figure.bbox.y1 + 2


def test_the_plot_of_a_scheme(ax: Axes) -> None:
    told = scheme(THREE)
    assert told.plot(ax) is ax
    other = wide()
    told.plot(other, variable="n_investments")
    assert "Warning tier by idle days and n_investments" in texts(other)
    assert told.plot().get_figure() is not None
    with pytest.raises(InputError, match=r"no 'balanse'. Did you mean 'balance'\? It has 'balance', 'n_investments'"):
        told.plot(ax, variable="balanse")


def test_hostile_names_are_never_interpreted() -> None:
    told = scheme({"$x$ <b>": rule("idle_days > 3 and 分銷 < 7"), "a\x00b": rule("idle_days > 1")})
    frame = tier_bands_frame(told.bands())
    document = svg(frame, lambda ax: tier_bands(told.bands(), ax))
    assert "$x$ &lt;b&gt;" in document
    assert "\x00" not in document
    assert "<b>" not in themed(document, prefix="f1", label="x")
    assert document == svg(frame, lambda ax: tier_bands(told.bands(), ax))


def test_words_can_be_replaced(ax: Axes) -> None:
    tier_bands(scheme(PLAIN).bands(), ax, words={"title": "預警分級 {variable}"})
    assert "預警分級 balance" in texts(ax)
    with pytest.raises(InputError, match="no word 'titel'"):
        tier_bands(scheme(PLAIN).bands(), ax, words={"titel": "x"})


def test_variables_and_rules_have_the_words_of_the_caller() -> None:
    told = scheme(THREE)
    table = told.bands()
    words = {
        **{f"value.{tier.rule}": f"規則 {tier.name}" for tier in told.tiers},
        **{"value.balance": "餘額", "value.n_investments": "投資次數"},
        **{"band.below": "未滿{high}", "band.above": "{low}以上", "band.between": "{low}至未滿{high}"},
    }
    frame = tier_bands_frame(table, words=words)
    made = picture(frame, lambda ax: tier_bands(table, ax, words=words))
    told_at = [text for each in made.marks for _, _, text in each.points]
    for raw in ("balance", "n_investments", "idle_days"):
        assert raw not in made.document
        assert not any(raw in text for text in told_at)
    for text in (
        "Warning tier by idle days and 餘額",
        "投資次數 未滿3",
        "投資次數 3以上",
        *(f"{t.name}: 規則 {t.name}" for t in told.tiers),
    ):
        assert text in made.document
    assert any("餘額 未滿" in text for text in told_at)
    # the room above is that of the words that are drawn
    assert tier_bands_frame(table, 240, words=words).top < tier_bands_frame(table, 240).top


def test_bad_tables_are_named(ax: Axes) -> None:
    table = scheme(PLAIN).bands()
    with pytest.raises(SchemaError, match="'others' is missing"):
        tier_bands(table.drop(columns="others"), ax)
    with pytest.raises(InputError, match="no bands"):
        tier_bands(table.head(0), ax)
    with pytest.raises(InputError, match="reach idle day 29"):
        tier_bands(table, ax, idle_days=20)
