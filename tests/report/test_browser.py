"""The page as a browser shows it: headless Chromium without a network. Run with ``pytest -m browser``."""

from __future__ import annotations

import codecs
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from churnsurv.report import Report, build, render_html
from churnsurv.report.figures import drawings, figure_csv
from churnsurv.report.model import Figure, Section, Table

pytestmark = pytest.mark.browser

DESK, PHONE = {"width": 1200, "height": 900}, {"width": 390, "height": 844}
PAPER = {"width": 688, "height": 1000}  # what A4 leaves between the margins
WIDE_NAME = "channel_" * 25
# What is cut off or widens the page; the skip link and what scrolls by itself may lie outside.
OUTSIDE = """() => Array.from(document.querySelectorAll("main *, header *, footer *"))
  .filter((each) => each.getBoundingClientRect().right > document.documentElement.clientWidth + 1
    && !each.closest("svg") && each.getClientRects().length)
  .map((each) => each.tagName + ": " + each.textContent.slice(0, 60))"""
TYPE = "name => parseFloat(getComputedStyle(document.querySelector('main ' + name)).fontSize)"
Opened = Callable[..., Any]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this machine")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Any, tmp_path: Path) -> Iterator[Opened]:
    """Open a page; anything on the console, any request and any dialog fails the test."""
    faults: list[str] = []
    contexts = []

    def load(page: str, size: Mapping[str, int] = DESK, **settings: Any) -> Any:
        file = tmp_path / f"{len(contexts)}.html"
        file.write_text(page, encoding="utf-8")
        context = chromium.new_context(viewport=dict(size), offline=True, **settings)
        contexts.append(context)
        shown = context.new_page()
        shown.set_default_timeout(10_000)
        shown.on("console", lambda said: faults.append(f"console: {said.text}"))
        shown.on("pageerror", lambda error: faults.append(f"error: {error}"))
        shown.on("dialog", lambda dialog: faults.append(f"dialog: {dialog.message}"))
        ours = ("data:", "blob:", file.as_uri())
        shown.on("request", lambda each: None if each.url.startswith(ours) else faults.append(f"request: {each.url}"))
        shown.goto(file.as_uri())
        return shown

    yield load
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture(scope="module")
def pages(study: Mapping[str, Any], report: Report) -> dict[str, str]:
    """A report with hostile names, in both languages."""
    return {"en": render_html(report), "zh-Hant": render_html(build(**{**study, "lang": "zh-Hant"}))}


@pytest.fixture
def sheet(small: Callable[..., Report]) -> Callable[..., str]:
    """A page with one figure and a table of ours."""

    def made(columns: tuple[str, ...], rows: list[tuple[str, ...]], numeric: tuple[bool, ...]) -> str:
        report = small()
        table = Table("Ours", columns, tuple(rows), numeric)
        return render_html(replace(report, sections=(*report.sections, Section("ours", "Ours", (table,)))))

    return made


def first_column(shown: Any) -> list[str]:
    return [text.strip() for text in shown.locator("#ours tbody th:visible").all_inner_texts()]


@pytest.mark.parametrize(
    ("lang", "size", "scheme"),
    [("en", DESK, "light"), ("en", PHONE, "dark"), ("zh-Hant", PHONE, "light"), ("zh-Hant", DESK, "dark")],
    ids=["en-desk-light", "en-phone-dark", "zh-phone-light", "zh-desk-dark"],
)
def test_it_opens_quietly_fits_and_can_be_read(
    opened: Opened, pages: dict[str, str], lang: str, size: dict[str, int], scheme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    shown = opened(pages[lang], size, color_scheme=scheme)
    assert shown.evaluate("document.documentElement.scrollWidth") == size["width"]
    assert (
        shown.evaluate("getComputedStyle(document.body).backgroundColor")
        == {
            "light": "rgb(255, 255, 255)",
            "dark": "rgb(26, 31, 39)",
        }[scheme]
    )
    visible = "svg:visible"
    assert shown.locator(visible).count() == shown.locator(".drawing").count()
    # Axe can't tell what colour stands behind a text on a gradient, the shadows of what scrolls, and says nothing.
    shown.add_style_tag(content=".scroll { background: none !important; }")
    found = axe.Axe().run(shown, options={"resultTypes": ["violations"]}).response["violations"]
    assert [each for each in found if each["impact"] in {"serious", "critical"}] == []


def test_user_text_is_text_where_it_is_shown(opened: Opened, pages: dict[str, str]) -> None:
    shown = opened(pages["en"])
    assert shown.title() == "Churn & <b>簡理財</b>"
    assert shown.locator("h1").inner_text() == "Churn & <b>簡理財</b>"
    assert shown.locator("main b, main i, main img, main a[href^=http]").count() == 0
    assert shown.locator("#survival_channel svg:visible").get_by_text("<script>alert(1)</script>").count() >= 1


def test_columns_sort_as_what_they_hold(opened: Opened, sheet: Callable[..., str]) -> None:
    rows = [
        ("b", "9.5% (8–11%)", "10 Feb 2024", "0.02"),
        ("a", "–", "9 Mar 2024", "< 0.001"),
        ("channel 10", "10.1% (9–12%)", "31 Dec 2023", "–"),
        ("channel 9", "-1.0M", "1 Jan 2024", "0.5"),
    ]
    shown = opened(sheet(("Name", "Share", "Day", "p"), rows, (False, True, False, True)))
    printed = [row[0] for row in rows]
    for column, ascending in {
        "Name": ["a", "b", "channel 9", "channel 10"],
        "Share": ["channel 9", "b", "channel 10", "a"],
        "Day": ["channel 10", "channel 9", "b", "a"],
        "p": ["a", "b", "channel 9", "channel 10"],
    }.items():
        head, button = (shown.locator("#ours thead").get_by_role(r, name=column, exact=True) for r in _ROLES)
        button.click()
        assert head.get_attribute("aria-sort") == "ascending"
        assert first_column(shown) == ascending
        button.press("Enter")
        assert head.get_attribute("aria-sort") == "descending"
        unknown = {"Share": ["a"], "p": ["channel 10"]}.get(column, [])  # stays last
        assert first_column(shown) == [name for name in reversed(ascending) if name not in unknown] + unknown
        button.click()
        assert head.get_attribute("aria-sort") is None
        assert first_column(shown) == printed


_ROLES = ("columnheader", "button")


def test_what_has_no_end_sorts_behind_all_numbers(opened: Opened, sheet: Callable[..., str]) -> None:
    rows = [("a", "∞"), ("b", "5"), ("c", "-∞"), ("d", "–"), ("e", "1.2e+05"), ("f", "7 (6 or more)")]
    shown = opened(sheet(("Name", "Ratio"), rows, (False, True)))
    button = shown.locator("#ours thead").get_by_role("button", name="Ratio")
    button.click()
    assert first_column(shown) == ["c", "b", "f", "e", "a", "d"]
    button.click()
    assert first_column(shown) == ["a", "e", "f", "b", "c", "d"]


def test_long_tables_fold_and_print_whole(opened: Opened, sheet: Callable[..., str]) -> None:
    rows = [(f"n{place}", str(place)) for place in range(40)]
    shown = opened(sheet(("Name", "Number"), rows, (False, True)))
    more = shown.locator("#ours .rows")
    assert (more.inner_text(), more.get_attribute("aria-expanded")) == ("All 40 rows", "false")
    assert len(first_column(shown)) == 10
    shown.locator("#ours").get_by_role("button", name="Number").dblclick()
    assert first_column(shown)[0] == "n39"  # all rows are sorted, not those in sight
    more.click()
    assert len(first_column(shown)) == 40
    more.click()
    shown.emulate_media(media="print")
    assert len(first_column(shown)) == 40
    assert not more.is_visible()


def test_figures_say_their_values(opened: Opened, small: Callable[..., Report]) -> None:
    report = small()
    drawing = drawings(report.figures[0])[0]
    shown = opened(render_html(report))
    svg, tip = shown.locator("figure .desk svg"), shown.locator("figure .tip")
    assert not tip.is_visible()
    svg.scroll_into_view_if_needed()
    box, view = svg.bounding_box(), [float(v) for v in (svg.get_attribute("viewBox") or "").split()]
    for marks in drawing.marks_wide:
        x, y, text = marks.points[len(marks.points) // 2]
        place = [box[corner] + (at - view[i]) * box["width"] / view[2] for i, (corner, at) in enumerate(_at(x, y))]
        shown.mouse.move(*place)
        tip.wait_for()
        assert tip.inner_text().split("\n") == [marks.name, text]
        dot = shown.locator("figure .dot").bounding_box()
        assert abs(dot["x"] + dot["width"] / 2 - place[0]) < 1
        assert abs(dot["y"] + dot["height"] / 2 - place[1]) < 1
    shown.keyboard.press("Escape")
    assert not tip.is_visible()
    shown.mouse.move(*place)
    tip.wait_for()
    shown.mouse.move(5, 5)
    assert not tip.is_visible()


def test_a_value_that_was_shown_leaves_no_trace_on_a_smaller_page(opened: Opened, small: Callable[..., Report]) -> None:
    shown = opened(render_html(small()), {"width": 1024, "height": 700})
    svg, tip = shown.locator("figure .desk svg"), shown.locator("figure .tip")
    svg.scroll_into_view_if_needed()
    box = svg.bounding_box()
    shown.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2)
    tip.wait_for()
    shown.set_viewport_size({"width": 500, "height": 700})
    tip.wait_for(state="hidden")
    assert shown.evaluate("document.documentElement.scrollWidth") == 500


def _at(x: float, y: float) -> list[tuple[str, float]]:
    return [("x", x), ("y", y)]


def test_figures_are_read_by_keyboard_and_ear(opened: Opened, small: Callable[..., Report]) -> None:
    report = small()
    first, second = drawings(report.figures[0])[0].marks_wide[:2]
    shown = opened(render_html(report))
    slider = shown.locator("figure input")
    assert slider.get_attribute("aria-label").startswith(f"Figure 1 {report.figures[0].title}. ")
    slider.focus()
    shown.wait_for_function("() => document.querySelector('figure input').ariaValueText")
    said = [slider.get_attribute("aria-valuetext")]
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        slider.press(key)
        said.append(slider.get_attribute("aria-valuetext"))
    points = [f"{first.name}, {text}" for _, _, text in first.points]
    assert said == [points[0], points[1], points[2], points[1]]
    slider.press("ArrowDown")
    assert slider.get_attribute("aria-valuetext").startswith(f"{second.name}, ")
    slider.press("End")
    assert slider.get_attribute("aria-valuetext").endswith(drawings(report.figures[0])[0].marks_wide[-1].points[-1][2])
    assert shown.locator(".tip").is_visible()
    slider.press("Escape")
    assert not shown.locator(".tip").is_visible()


def test_figures_answer_to_a_finger(opened: Opened, small: Callable[..., Report]) -> None:
    report = small()
    shown = opened(render_html(report), PHONE, has_touch=True, is_mobile=True)
    shown.locator("figure .phone svg").tap()
    tip = shown.locator(".tip")
    tip.wait_for()
    texts = {text for marks in drawings(report.figures[0])[0].marks_narrow for _, _, text in marks.points}
    assert tip.inner_text().split("\n")[-1] in texts
    edges = tip.bounding_box()
    assert edges["x"] >= 0
    assert edges["x"] + edges["width"] <= PHONE["width"]
    shown.locator("h1").tap()
    assert not tip.is_visible()


def test_data_of_figures_come_from_the_page_itself(opened: Opened, pages: dict[str, str], report: Report) -> None:
    shown = opened(pages["en"])
    for figure in report.figures[:: max(len(report.figures) // 3, 1)]:
        shown.wait_for_timeout(700)  # Chromium drops downloads that a page starts faster than a person would
        with shown.expect_download() as waiting:
            shown.locator(f"#{figure.name} a.data").click()
        assert waiting.value.suggested_filename == f"{figure.name}.csv"
        found = Path(waiting.value.path()).read_bytes()
        assert found.startswith(codecs.BOM_UTF8)  # without it spreadsheets read Chinese as something else
        assert found.decode("utf-8-sig") == figure_csv(figure)


def test_contents_follow_the_reading(opened: Opened, pages: dict[str, str], report: Report) -> None:
    shown = opened(pages["en"])
    current = shown.locator("nav a[aria-current=true]")
    assert current.inner_text() == "Summary"
    for section in (report.sections[1], report.sections[-1]):
        shown.locator(f"nav a[href='#{section.id}']").click()
        shown.wait_for_function(
            "id => document.querySelector('nav a[aria-current]').hash === id", arg=f"#{section.id}", timeout=3000
        )
        assert current.count() == 1
    assert shown.locator("nav summary").get_attribute("tabindex") == "-1"
    shown.locator("nav summary").evaluate("summary => { summary.focus(); summary.click(); }")
    shown.wait_for_function("() => document.querySelector('nav details').open")  # a desk has no way to open it again
    phone = opened(pages["en"], PHONE)
    assert phone.locator("nav ol").is_hidden()
    assert phone.locator("nav summary").get_attribute("tabindex") == "0"
    phone.locator("nav summary").click()
    assert phone.locator("nav ol").is_visible()
    phone.locator(f"nav a[href='#{report.sections[1].id}']").click()
    assert phone.locator("nav ol").is_hidden()
    here = "title => document.querySelector('.here').textContent === title"
    phone.wait_for_function(here, arg=report.sections[1].title)


def test_light_and_dark_can_be_switched_and_nothing_is_remembered(opened: Opened, pages: dict[str, str]) -> None:
    shown = opened(pages["en"], color_scheme="dark")
    paper = "getComputedStyle(document.body).backgroundColor"
    switch = shown.get_by_role("button", name="Dark", exact=True)
    assert (switch.get_attribute("aria-pressed"), shown.evaluate(paper)) == ("true", "rgb(26, 31, 39)")
    switch.click()
    assert (switch.get_attribute("aria-pressed"), shown.evaluate(paper)) == ("false", "rgb(255, 255, 255)")
    shown.reload()
    assert (switch.get_attribute("aria-pressed"), shown.evaluate(paper)) == ("true", "rgb(26, 31, 39)")
    shown.emulate_media(color_scheme="light")
    shown.wait_for_function("() => document.querySelector('.scheme').ariaPressed === 'false'")
    assert (switch.get_attribute("aria-pressed"), shown.evaluate(paper)) == ("false", "rgb(255, 255, 255)")


def test_it_prints_whole(opened: Opened, pages: dict[str, str], report: Report) -> None:
    reader = pytest.importorskip("pypdf")
    import io

    for page in pages.values():
        shown = opened(page, PAPER, color_scheme="dark")
        shown.emulate_media(media="print", color_scheme="dark")
        assert shown.evaluate(OUTSIDE) == []
        assert shown.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        sizes = {name: float(shown.evaluate(TYPE, name)) for name in ("p:not(.note)", ".note", "figcaption", ".label")}
        assert max(sizes, key=sizes.__getitem__) == "p:not(.note)", sizes
        hidden = ".scheme, .skip, .tip, .dot, nav, .rows, .data"
        assert shown.locator(hidden).filter(visible=True).count() == 0
    shown = opened(pages["en"])
    sheets = reader.PdfReader(io.BytesIO(shown.pdf(prefer_css_page_size=True))).pages
    assert {tuple(round(float(side)) for side in sheet.mediabox[2:]) for sheet in sheets} <= {(595, 842), (596, 842)}
    starts = [n for n, sheet in enumerate(sheets) if report.sections[0].title in sheet.extract_text()]
    assert starts[0] == 1  # the summary fills one sheet
    text = re.sub(r"\s+", "", "".join(sheet.extract_text() for sheet in sheets))
    assert all(re.sub(r"\s+", "", section.title) in text for section in report.sections)


def test_without_a_script_everything_is_there(opened: Opened, pages: dict[str, str], report: Report) -> None:
    shown = opened(pages["en"], java_script_enabled=False)
    assert shown.locator("button").count() == 0
    assert shown.locator("nav ol").is_visible()
    assert shown.locator("svg:visible").count() == shown.locator(".drawing").count()
    hrefs = [link.get_attribute("href") for link in shown.locator("a.data").all()]
    assert hrefs == [figure.data_file for figure in report.figures]


def test_sixty_channels_with_long_names_fit(opened: Opened, sheet: Callable[..., str]) -> None:
    columns = ("Channel", *(f"{WIDE_NAME}{place}" for place in range(60)))
    rows = [(f"{WIDE_NAME}{row}", *("12.3% (11.0–13.6%)" for _ in range(60))) for row in range(3)]
    page = sheet(columns, rows, (False, *[True] * 60))
    for size in (DESK, PHONE):
        assert opened(page, size).evaluate("document.documentElement.scrollWidth") == size["width"]
    few = sheet(columns[:9], [row[:9] for row in rows], (False, *[True] * 8))
    shown = opened(few, PAPER)
    shown.emulate_media(media="print")
    assert shown.evaluate(OUTSIDE) == []


def test_a_figure_of_no_marks_is_a_picture(opened: Opened, small: Callable[..., Report]) -> None:
    report = small()
    figure: Figure = report.figures[0]
    still = [replace(each, marks_wide=(), marks_narrow=()) for each in drawings(figure)]
    shown = opened(render_html(report, {figure.name: still}))
    assert shown.locator("figure input").count() == 0
    svg = shown.locator("figure svg:visible")
    svg.scroll_into_view_if_needed()
    svg.hover()
    assert shown.locator(".told").count() == 0
