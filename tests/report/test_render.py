from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from churnsurv.report import Report, build, render_html
from churnsurv.report.figures import drawings, figure_csv
from churnsurv.report.model import Figure, Section, Table
from tests.report.conftest import Drawn

VOID = {"meta", "link", "br", "img", "hr", "input", "path", "use", "rect"}
SECTION_TEXT = "<script>alert(1)</script>"


class Page(HTMLParser):
    """Reads a page: every tag must close, attributes and texts are kept."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def read(page: str) -> Page:
    return Page(page)


def test_user_text_is_text_everywhere(page: str, read: Page) -> None:
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "<b>簡" not in page
    assert "<i>marks" not in page
    assert "\x00" not in page
    texts = set(read.texts)
    assert SECTION_TEXT in texts
    assert "分銷" in texts
    assert "$x$ & co" in texts
    assert any("<img src=x onerror=alert(2)>\ufffd" in text for text in texts)
    assert not [name for _, attrs in read.tags for name in attrs if name.startswith("on")]


def test_the_page_runs_its_own_script_and_no_other(page: str, read: Page) -> None:
    kinds = [attrs.get("type") for attrs in read.named("script")]
    assert kinds.count(None) == 1
    assert set(kinds) == {None, "application/gzip"}  # which no browser runs
    script = page.rpartition("<script>")[2].partition("</script>")[0]
    assert len(script.encode()) < 11_000
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = [attrs["content"] for attrs in read.named("meta") if attrs.get("http-equiv") == "Content-Security-Policy"]
    assert policy == [
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    ]


def test_figures_bring_their_data_and_values(page: str, report: Report, drawn: Drawn) -> None:
    there = drawn(report)
    packed = re.findall(r'<script type="application/gzip">([A-Za-z0-9+/=]+)</script>', page)
    assert len(packed) == len(report.figures)
    for text, figure in zip(packed, report.figures, strict=True):
        found = json.loads(gzip.decompress(base64.b64decode(text)))
        assert found["csv"] == figure_csv(figure)
        made = there[figure.name]
        assert len(found["marks"]) == len(made)
        for (wide, narrow), drawing in zip(found["marks"], made, strict=True):
            assert [each[0] for each in wide] == [marks.name for marks in drawing.marks_wide]
            assert [len(each[1]) for each in narrow] == [len(marks.points) for marks in drawing.marks_narrow]
    assert page.count('class="drawing marked"') == sum(
        bool(drawing.marks_wide) for made in there.values() for drawing in made
    )


def test_user_text_is_in_the_figures_too(read: Page) -> None:
    drawn = page_svg_texts(read)
    assert {SECTION_TEXT, "分銷", "$x$ & co"} <= drawn


def page_svg_texts(read: Page) -> set[str]:
    return {text for text in read.texts if text.strip()}


def test_nothing_is_fetched(page: str, read: Page) -> None:
    assert not [attrs for _, attrs in read.tags if attrs.get("src")]
    links = [attrs["href"] for attrs in read.named("a")]
    assert all(link and (link.startswith("#") or re.fullmatch(r"figures/[a-z0-9_]+\.csv", link)) for link in links)
    styles = "".join(re.findall(r"<style>(.*?)</style>", page, re.DOTALL))
    assert "url(" not in styles
    assert "@import" not in styles
    assert read.named("link") == [{"rel": "icon", "href": "data:,"}]  # or a browser asks for one


def test_ids_are_unique_and_links_arrive(read: Page) -> None:
    ids = [attrs["id"] for _, attrs in read.tags if "id" in attrs]
    assert len(set(ids)) == len(ids)
    for link in (attrs["href"] for attrs in read.named("a")):
        if link and link.startswith("#"):
            assert link[1:] in ids


def test_the_page_can_be_read_by_ear(read: Page, report: Report) -> None:
    assert [attrs["lang"] for attrs in read.named("html")] == ["en"]
    assert len(read.named("h1")) == 1
    assert len(read.named("h2")) == len(report.sections) + 1
    assert [tag for tag, _ in read.tags if tag in {"header", "nav", "main", "footer"}] == [
        "header", "nav", "main", "footer",
    ]  # fmt: skip
    first = read.named("a")[0]
    assert (first["class"], first["href"]) == ("skip", "#main")
    drawings = read.named("svg")
    assert len(drawings) == 2 * 4 + len(report.figures[-1].options["panels"])
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in drawings)
    heads = read.named("th")
    assert heads
    assert all(attrs["scope"] in {"col", "row"} for attrs in heads)
    assert len(read.named("caption")) == len(read.named("table"))


def test_figures_and_tables_are_numbered(page: str, report: Report) -> None:
    blocks = [block for section in report.sections for block in section.blocks]
    for word, kind in (("Figure", Figure), ("Table", Table)):
        found = re.findall(rf'<span class="numbered">{word} (\d+)</span>', page)
        assert found == [str(n) for n in range(1, sum(isinstance(block, kind) for block in blocks) + 1)]


def test_findings_lead_to_their_section(report: Report, read: Page) -> None:
    linked = [sentence.link for sentence in report.summary if sentence.link]
    assert [attrs["href"] for attrs in read.named("a") if attrs.get("class") == "more"] == [f"#{e}" for e in linked]
    titles = {section.id: section.title for section in report.sections}
    assert all(titles[link] in read.texts for link in linked)


def test_tables_say_what_they_are_sorted_by(page: str) -> None:
    table = page.partition('<section id="curves-channel"')[2].partition("<table")[2].partition("</table>")[0]
    heads = re.findall(r'<th scope="col"([^>]*)>([^<]*)<', table)
    assert [("data-by" in attributes) for attributes, _ in heads] == [False, *[True] * (len(heads) - 1)]
    first = re.findall(r'<tr><th scope="row">.*?</tr>', table, re.DOTALL)[0]
    shown = re.findall(r'data-o="([^"]+)">([\d,.%]+)', first)
    assert len(shown) >= 5
    assert all(float(key) == float(text.replace(",", "").rstrip("%")) for key, text in shown)


def test_in_chinese(small: Callable[..., Report]) -> None:
    page = render_html(small(lang="zh-Hant"))
    assert '<html lang="zh-Hant">' in page
    assert '<span class="numbered">圖 1</span>' in page
    assert 'data-dark="深色"' in page


def test_the_page_is_for_phones_paper_and_the_night(page: str) -> None:
    assert 'name="viewport"' in page
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    assert "--fig-1c2530:#e8ecf1" in page
    assert "/* figure colours" not in page


def test_the_same_report_has_the_same_bytes(report: Report, page: str) -> None:
    """Drawn again, and from its JSON."""
    assert render_html(Report.from_json(report.to_json())) == page


def test_every_sentence_tile_and_cell_is_on_the_page(report: Report, read: Page) -> None:
    everything = re.sub(r"\s+", " ", "".join(read.texts))
    for sentence in report.summary:
        assert re.sub(r"\s+", " ", "".join(part.text for part in sentence.parts)) in everything
    for tile in report.tiles:
        assert tile.value in everything
        assert tile.label in everything


def test_long_text_without_a_blank_is_no_error(small: Callable[..., Report]) -> None:
    assert "x" * 5000 in render_html(small(title="x" * 5000))


def test_numbers_without_an_end_are_written_for_the_script(small: Callable[..., Report]) -> None:
    table = Table("Ours", ("Name", "Ratio"), (("a", "∞"), ("b", "-∞"), ("c", "1,250.5")), (False, True))
    page = render_html(replace(small(), sections=(Section("ours", "Ours", (table,)),)), {})
    assert re.findall(r'data-o="([^"]*)"', page) == ["Infinity", "-Infinity", "1250.5"]


def test_an_unknown_figure_is_named(small: Callable[..., Report]) -> None:
    from churnsurv.errors import InputError

    with pytest.raises(InputError, match="no figure of the kind 'pie'"):
        drawings(Figure("f", "pie", "", "", "", {"x": [1]}))


def test_a_million_users_in_a_small_page(drawn: Drawn) -> None:
    """Twenty-four cohorts followed for up to two years: a page of a few megabytes whatever the number of users."""
    frames = []
    for cohort in range(24):
        days = np.arange(30, 730 - 20 * cohort)
        survival = np.exp(-((days / 120) ** 0.8)) * (1 + 0.1 * np.sin(cohort))
        survival = np.minimum.accumulate(np.minimum(survival, 1))
        n = np.round(40_000 * survival)
        rows = {"group": f"{2024 + cohort // 12}-{cohort % 12 + 1:02d}", "time": days, "survival": survival}
        rows |= {"std_error": 0.002, "lower": survival - 0.004, "upper": survival + 0.004, "n_at_risk": n}
        frames.append(pd.DataFrame({**rows, "n_events": 40, "n_censored": 3}))
    table = pd.concat(frames, ignore_index=True)
    medians = pd.DataFrame(
        {"group": table["group"].unique(), "probability": 0.5, "time": 76.0, "lower": 75.0, "upper": 77.0}
    )
    last = table.groupby("group")["time"].max().to_dict()
    curves = type(
        "Curves",
        (),
        {"table": table, "level": 0.95, "last_day": last, "median": medians, "_to_plain": lambda _: {}},
    )()
    report = build(title="Large", curves={f"cohort {i}": curves for i in range(4)})
    page = render_html(report, drawn(report))
    assert len(page.encode()) < 5_000_000
