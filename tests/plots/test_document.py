from __future__ import annotations

from xml.etree import ElementTree

import pandas as pd
import pytest
from matplotlib.axes import Axes

from churnsurv.plots import style, survival_curves, survival_curves_frame, svg, text, themed
from tests.plots.conftest import HOSTILE, curves

SVG = "{http://www.w3.org/2000/svg}"


def parsed(document: str) -> ElementTree.Element:
    return ElementTree.fromstring(document)  # noqa: S314  # our own


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return curves(HOSTILE)


@pytest.fixture(scope="module")
def document(table: pd.DataFrame) -> str:
    return svg(survival_curves_frame(table, 640), lambda ax: survival_curves(table, ax))


def test_the_same_figure_has_the_same_bytes(table: pd.DataFrame, document: str) -> None:
    again = svg(survival_curves_frame(table, 640), lambda ax: survival_curves(table, ax))
    assert again == document
    assert "2026" not in document
    assert "dc:date" not in document


def test_user_text_stays_text_and_is_escaped(document: str) -> None:
    root = parsed(document)
    said = {element.text for element in root.iter(f"{SVG}text")}
    assert {"<script>alert(1)</script>", "$x$ & co", "分銷", "a\ufffdb]]>\"'", "=1+1"} <= said
    assert "<script" not in document
    assert "\x00" not in document
    assert not list(root.iter(f"{SVG}script"))


def test_characters_that_xml_cannot_hold_are_replaced_wherever_they_come_from() -> None:
    bad = "\x00\x1b\uffff"

    def draw(ax: Axes) -> None:
        ax.set_title(f"a{bad}b")
        ax.plot([0, 1], [1, 0], gid=f"churnsurv-{bad}")

    made = svg(style.Frame(200, 100, 20, 10, 10, 20), draw)
    assert "a\ufffd\ufffd\ufffdb" in [element.text for element in parsed(made).iter(f"{SVG}text")]
    assert 'id="churnsurv-\ufffd\ufffd\ufffd"' in made


def test_a_missing_font_changes_nothing(table: pd.DataFrame, document: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_fonts_for", lambda characters: ((), characters))
    again = svg(survival_curves_frame(table, 640), lambda ax: survival_curves(table, ax))
    assert again == document


def test_viewers_get_a_list_of_fonts(document: str) -> None:
    root = parsed(document)
    assert "Noto Sans CJK TC" in root.attrib["font-family"]
    assert "DejaVu" not in document
    assert root.attrib["style"] == f"font-size: {style.SIZE:g}px"
    assert "font-size" not in document.split(">", 1)[1]


def test_texts_of_another_size_say_so_themselves() -> None:
    made = svg(style.Frame(200, 100, 20, 10, 10, 20), lambda ax: ax.text(0, 0, "a", fontsize=14))
    sizes = {e.text: "font-size: 14px" in e.attrib.get("style", "") for e in parsed(made).iter(f"{SVG}text")}
    assert sizes["a"]


def test_only_ids_that_are_used_stay_and_no_empty_group(document: str) -> None:
    root = parsed(document)
    used = {part.split(")")[0] for part in document.split("url(#")[1:]}
    used |= {part.split('"')[0] for part in document.split('href="#')[1:]}
    assert {element.attrib["id"] for element in root.iter() if "id" in element.attrib} == used
    assert all(element.attrib for element in root.iter(f"{SVG}g"))


def test_inside_a_page_ids_are_prefixed_and_colours_are_variables(document: str) -> None:
    page = themed(document, prefix="fig-1", label='"<&>')
    root = parsed(page)
    assert root.attrib["aria-label"] == '"<&>'
    assert root.attrib["role"] == "img"
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(set(ids)) == len(ids)
    assert all(name.startswith("fig-1-") for name in ids)
    used = {part.split(")")[0] for part in page.split("url(#")[1:]}
    used |= {part.split('"')[0] for part in page.split('href="#')[1:]}
    assert used <= set(ids)
    assert "var(--fig-1c2530, #1c2530)" in page
    assert "<style" not in page


def test_nothing_is_fetched(document: str) -> None:
    page = themed(document, prefix="f", label="")
    for allowed in ("http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"):
        page = page.replace(allowed, "")
    assert "http" not in page
    assert "@import" not in page


def test_a_file_of_a_hundred_thousand_days_stays_small() -> None:
    n = 100_000
    rows = pd.DataFrame({"group": "all", "time": range(1, n + 1), "n_at_risk": range(n, 0, -1)})
    rows["survival"] = rows["n_at_risk"] / n
    rows = rows.assign(lower=rows["survival"], upper=rows["survival"], n_events=1, n_censored=0)
    assert len(svg(survival_curves_frame(rows, 640), lambda ax: survival_curves(rows, ax))) < 150_000


def test_a_frame_places_its_axes(ax: Axes) -> None:
    frame = style.Frame(640, 300, 50, 40, 30, 20)
    placed = frame.place(ax.get_figure(root=True))
    assert style.inner_size(placed) == pytest.approx((550, 250))
    assert style.side_room(placed) == pytest.approx((50, 40))
