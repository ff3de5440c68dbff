"""The PDF: its pages and text, tags and fonts, wide and long tables, texts that want to be markup."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.errors import ChurnsurvWarning, InputError
from churnsurv.plots import text as plot_text
from churnsurv.report import Report, build, pdf, write
from churnsurv.report.catalogue import catalogue
from churnsurv.report.fonts import print_fonts
from churnsurv.report.model import Figure, Listing, Part, Section, Sentence, Table, Tile
from churnsurv.report.pdf import render_pdf
from churnsurv.report.pdf_content import BREAK, settable
from tests.report.conftest import Drawn

pytest.importorskip("typst", reason="the extra `pdf` is not installed")
pypdf = pytest.importorskip("pypdf", reason="reads the PDFs that are made here")

LONG = "wealth_supermarket_" * 11  # 209 characters
ARABIC, HEBREW = "\u0642\u0646\u0627\u0629 \u0631\u0642\u0645", "\u05e2\u05e8\u05d5\u05e5"


def read(content: bytes) -> Any:
    return pypdf.PdfReader(io.BytesIO(content))


def squeezed(text: str) -> str:
    """Without white space, and without the hyphens of broken words, so that lines and cells don't matter."""
    return "".join(text.replace("-", "").replace("\u2010", "").split())


@cache
def pages_of(content: bytes) -> tuple[str, ...]:
    """The text of each page."""
    return tuple(squeezed(page.extract_text()) for page in read(content).pages)


def text_of(content: bytes) -> str:
    return "".join(pages_of(content))


def elements(reader: Any) -> list[Any]:
    """Every element of the structure tree."""
    found, left = [], [reader.trailer["/Root"]["/StructTreeRoot"]]
    while left:
        node = left.pop().get_object()
        if isinstance(node, list):
            left.extend(node)
        elif isinstance(node, dict):
            found.append(node)
            left.extend([node["/K"]] if "/K" in node else [])
    return found


def fonts(reader: Any) -> dict[str, bool]:
    """The name of every font, and whether it is embedded."""
    found = {}
    for page in reader.pages:
        for font in _fonts(page["/Resources"]):
            described = font["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object()
            embedded = any(key in described for key in ("/FontFile", "/FontFile2", "/FontFile3"))
            found[str(font["/BaseFont"]).split("+")[-1]] = embedded
    return found


def _fonts(resources: Any) -> Iterator[Any]:
    """Those of a page and of the pictures in it."""
    resources = resources.get_object()
    yield from (font.get_object() for font in resources.get("/Font", {}).values())
    for drawn in resources.get("/XObject", {}).values():
        if "/Resources" in drawn.get_object():
            yield from _fonts(drawn.get_object()["/Resources"])


def one(*blocks: Any, lang: str = "en", title: str = "Small", **changes: Any) -> Report:
    """A report of one section."""
    whole: dict[str, Any] = {"tiles": (), "summary": (), "provenance": {"packages": {"churnsurv": "0.1.0"}}, **changes}
    section = Section("one", "One section", blocks)
    return Report(title, lang, Sentence(()), sections=(section,), results={}, config={}, **whole)


def table(columns: int, rows: int, text: str = "text", **changes: Any) -> Table:
    names = tuple(f"{text} {place}" for place in range(columns))
    cells = tuple(tuple(f"{text} {row} {place}" for place in range(columns)) for row in range(rows))
    return Table(**{"title": "Many", "columns": names, "rows": cells, "numeric": (False,) * columns, **changes})


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch, drawn: Drawn) -> Callable[[Report], list[np.ndarray]]:
    """Draw the pages of a report: grey values, one pixel for two points."""
    from matplotlib.image import imread

    def compiled(typst: Any, folder: Path) -> list[bytes]:
        drawn = typst.compile(
            str(folder / "report.typ"), root=str(folder), font_paths=[str(folder / "fonts")], format="png", ppi=36
        )
        return drawn if isinstance(drawn, list) else [drawn]

    def draw(report: Report) -> list[np.ndarray]:
        with monkeypatch.context() as patched:
            patched.setattr(pdf, "_compiled", compiled)
            whole = render_pdf(report, drawn(report))
            return [imread(io.BytesIO(page))[:, :, :3].mean(axis=2) for page in whole]

    return draw


def clear_margins(page: np.ndarray) -> bool:
    """Whether nothing is drawn in the margins at the sides and at the foot, of 62 and 25 points and more."""
    return bool(page[:, -30:].min() > 0.99 and page[:, :30].min() > 0.99 and page[-12:].min() > 0.99)


@pytest.fixture(scope="module")
def made(report: Report, drawn: Drawn) -> bytes:
    return render_pdf(report, drawn(report))


def test_it_has_title_contents_summary_and_every_section(report: Report, made: bytes) -> None:
    pages = pages_of(made)
    words, whole = catalogue("en"), "".join(pages)
    assert squeezed(report.title) in pages[0]
    for title in (words.text("page.contents"), *(section.title for section in report.sections)):
        assert squeezed(title) in pages[1]
    assert squeezed(words.text("page.summary")) in pages[2]
    blocks = [block for section in report.sections for block in section.blocks]
    cells = {cell for block in blocks if isinstance(block, Table) for row in block.rows for cell in row}
    assert len(cells) > 100
    said = [s for block in blocks if isinstance(block, Listing) for s in block.sentences]
    said += [*report.summary, *(block for block in blocks if isinstance(block, Sentence))]
    lost = [text for text in (*cells, *(each.text for each in said)) if squeezed(text)[:60] not in whole]
    assert len(lost) < 0.02 * len(cells), lost  # a page may end within one
    assert f"{len(pages)}of{len(pages)}" in pages[-1]


def test_it_is_tagged_and_says_what_it_is(report: Report, made: bytes) -> None:
    reader = read(made)
    root = reader.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "en-GB"
    assert b"<pdfuaid:part>1</pdfuaid:part>" in root["/Metadata"].get_object().get_data()
    assert reader.metadata.title == report.title
    assert reader.metadata.author == "churnsurv 0.1.0"
    assert "/CreationDate" not in reader.metadata
    tags = [str(each["/S"]) for each in elements(reader) if "/S" in each]
    blocks = [block for section in report.sections for block in section.blocks]
    assert tags.count("/Table") == tags.count("/THead") == sum(isinstance(block, Table) for block in blocks)
    assert tags.count("/H1") == len(report.sections) + 2  # contents, summary
    assert {"/TH", "/TD", "/Figure", "/Caption", "/L", "/LI", "/P", "/Link", "/TOC"} <= set(tags)
    assert len(reader.outline) == len(report.sections) + 1


def test_pictures_say_what_they_show_and_keep_their_text(report: Report, made: bytes) -> None:
    alts = {squeezed(str(each["/Alt"])) for each in elements(read(made)) if "/Alt" in each}
    pictures = [
        *(figure.alt for figure in report.figures if not figure.panels),
        *(panel["alt"] for figure in report.figures for panel in figure.panels),
    ]
    assert len(pictures) > 5
    assert alts == {squeezed(alt.replace("\x00", "\ufffd")) for alt in pictures}
    assert "Sharestillactive,with95%intervals" in text_of(made)


def test_every_font_is_embedded_and_of_the_packages(small: Callable[..., Report]) -> None:
    found = fonts(read(render_pdf(small())))
    assert all(found.values())
    assert {name.split("-")[0] for name in found} == {"LibertinusSerif", "DejaVuSans"}


def test_the_same_report_has_the_same_bytes(small: Callable[..., Report]) -> None:
    assert render_pdf(small()) == render_pdf(Report.from_json(small().to_json()))


def test_sentences_of_the_summary_lead_to_their_sections() -> None:
    summary = (Sentence((Part("Half churn.", "number"),), "one"), Sentence((Part("Nowhere."),), "gone"))
    tiles = (Tile("41%", "40–42%", "still active", "one"), Tile("7", "", "users", "gone"))
    content = render_pdf(one(table(2, 2), summary=summary, tiles=tiles))
    assert "Halfchurn.page4" in text_of(content)
    assert "Nowhere.page" not in text_of(content)
    assert "41%(40–42%)" in text_of(content)


HOSTILE = (
    '#panic("x") #import "@preview/evil:1.0.0" $x^2$ = *b* _i_ @ref <label> // no',
    r"\input{/etc/passwd} \end{document} % & ~",
    "<script>alert(1)</script> &amp; <!-- ]]>",
    '=HYPERLINK("http://evil.example")',
    "a\x00b\x1b[31m\ud800 c\u202ed",
    "{n} {page} %s \\u0041 'quoted' \"twice\" `raw`",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_text(text: str) -> None:
    blocks = (
        Sentence((Part("Of "), Part(text, "name"), Part(text, "number"), Part(text, "keep"))),
        Listing((Sentence((Part(text),)),)),
        Table(text, (text, "n"), ((text, f"1 ({text})"),), (False, True), text),
    )
    report = one(*blocks, title=text, summary=(Sentence((Part(text, "name"),), "one"),))
    shown = squeezed(plot_text.shown(text))
    assert text_of(render_pdf(report)).count(shown) >= 9


def test_hostile_channel_names_are_drawn_as_text(made: bytes) -> None:
    whole = text_of(made)
    for name in ("<script>alert(1)</script>", "$x$&co", '=HYPERLINK("http://evil.example")]]>'):
        assert name in whole


def test_ten_thousand_characters_fit_everywhere(pages: Callable[[Report], list[np.ndarray]]) -> None:
    text = "x" * 10_000
    report = one(
        Sentence((Part(text, "name"),)), Table(text, ("a", text), ((text, "1"),), (False, True), text), title=text
    )
    assert text_of(render_pdf(one(Table("t", ("a",), ((text,),), (False,))))).count("x") >= 10_000
    assert all(clear_margins(page) for page in pages(report))


@pytest.mark.parametrize(
    ("columns", "text", "turned"), [(4, "text", False), (9, LONG, True), (26, "0.123 word", True), (60, "n", True)]
)
def test_wide_tables_get_smaller_then_turn_the_page(
    pages: Callable[[Report], list[np.ndarray]], columns: int, text: str, turned: bool
) -> None:
    report = one(table(columns, 3, text))
    drawn = pages(report)
    assert any(page.shape[1] > page.shape[0] for page in drawn) == turned
    assert all(clear_margins(page) for page in drawn)
    assert f"{squeezed(text)}2{columns - 1}" in text_of(render_pdf(report))


def test_long_tables_repeat_their_heads_and_lose_no_row() -> None:
    content = render_pdf(one(table(3, 200)))
    pages = pages_of(content)[2:]
    assert len(pages) >= 4
    assert all("text0text1text2" in page for page in pages)
    whole = "".join(pages)
    assert all(f"text{row}0text{row}1text{row}2" in whole for row in range(200))


def reading(content: bytes) -> list[Any]:
    """The pages with text, after title and contents."""
    return [page for page in read(content).pages if squeezed(page.extract_text())][2:]


def test_a_table_too_wide_for_any_page_is_parted_under_its_heading() -> None:
    name = "the shop by the sea " * 10
    limits = tuple(f"{place} (-117 to 196)" for place in range(24))
    wide = Table(
        "t", ("Users", *(f"arm {n}" for n in range(24))), ((name, *limits),), (False,) + (True,) * 24, "Noted."
    )
    pages = reading(render_pdf(one(Sentence((Part("Before."),)), wide)))
    texts = [squeezed(page.extract_text()) for page in pages]
    assert all(page.mediabox.width > page.mediabox.height for page in pages)
    assert "Onesection" in texts[0].replace("1Small", "")
    assert "Before." in texts[0]
    assert [text for text in texts if "Table1,continued" in text]
    whole = "".join(texts)
    assert all(squeezed(each) in whole for each in limits)
    assert (whole.count("Users"), whole.count("Noted.")) == (whole.count("Table1"), 1)
    sizes: list[float] = []
    for page in pages:
        page.extract_text(
            visitor_text=lambda text, _, at, __, size: sizes.append(size * abs(at[3])) if text.strip() else None
        )
    assert min(sizes) >= 6


def test_short_tables_stay_whole_and_long_ones_say_that_they_go_on() -> None:
    report = one(Sentence((Part("word " * 900),)), table(2, 9, "short"), Sentence((Part("word " * 300),)), table(2, 90))
    texts = [squeezed(page.extract_text()) for page in reading(render_pdf(report))]
    assert sum("short10" in text for text in texts) == 1
    (holding,) = (text for text in texts if "short10" in text)
    assert "short80" in holding
    on = ["Table2,continued" in text for text in texts]
    begins = next(place for place, text in enumerate(texts) if "text00text01" in text)
    ends = next(place for place, text in enumerate(texts) if "text890" in text)
    assert ends > begins
    assert [place for place, going in enumerate(on) if going] == list(range(begins + 1, ends + 1))
    assert not any("Table1,continued" in text for text in texts)


def test_notes_stay_with_the_last_row() -> None:
    for rows in (38, 40):
        texts = [squeezed(page.extract_text()) for page in reading(render_pdf(one(table(2, rows, note="Noted."))))]
        (noted,) = (text for text in texts if "Noted." in text)
        assert f"text{rows - 1}0" in noted
        assert f"text{rows - 3}0" in noted  # no single row is left over


def test_many_channels_with_long_names(pages: Callable[[Report], list[np.ndarray]], drawn: Drawn) -> None:
    rows = pd.DataFrame({"duration": [30.0, 45.0, 60.0, 61.0] * 60, "churned": [True, False, True, True] * 60})
    rows["channel"] = [f"{place:02d} {LONG}" for place in range(60) for _ in range(4)]
    report = build(title="Sixty", curves={"channel": ch.kaplan_meier(rows, by="channel")})
    whole = text_of(render_pdf(report, drawn(report)))
    assert all(f"{place:02d}wealth_supermarket" in whole for place in range(60))
    assert all(clear_margins(page) for page in pages(report))


def test_names_from_right_to_left_are_isolated() -> None:
    assert settable(HEBREW) == f"\u2068{HEBREW}\u2069"
    sentence = Sentence((Part("By "), Part(HEBREW, "name"), Part(": "), Part("30%", "number"), Part(f" {ARABIC}.")))
    content = render_pdf(one(sentence, table(3, 2, ARABIC)))
    assert "30%" in text_of(content)
    assert {"DejaVuSans"} <= set(fonts(read(content)))
    assert set(HEBREW + ARABIC) - {" "} <= set(text_of(content))


def test_long_words_may_break_and_others_may_not() -> None:
    assert settable("wealth_supermarket").split(BREAK) == ["wealth_", "supermarket"]
    assert settable("characteristically") == "characteristically"
    assert settable("12,345,678.5–12,345,679.5") == "12,345,678.5–12,345,679.5"
    assert max(map(len, settable("ab" * 32).split(BREAK))) == 8


def test_empty_reports_and_sections() -> None:
    empty = Table("None", ("a", "b"), (), (False, True))
    content = render_pdf(one(empty, Listing(()), Sentence(())))
    assert "Onesection" in text_of(content)
    bare = Report("Bare", "en", Sentence(()), (), (), (), {}, {}, {})
    assert "Bare" in text_of(render_pdf(bare))


def test_chinese_is_set_in_a_font_of_the_machine(small: Callable[..., Report]) -> None:
    if plot_text.missing_glyphs(["流失"]):
        pytest.skip("no font with Chinese characters is installed")
    report = small(title="分銷通路的流失", lang="zh-Hant")
    content = render_pdf(report)
    assert read(content).trailer["/Root"]["/Lang"] == "zh-TW"
    assert squeezed(report.sections[0].title) in text_of(content)
    assert "摘要" in text_of(content)
    found = fonts(read(content))
    assert all(found.values())
    assert [name for name in found if "DejaVu" not in name and "Libertinus" not in name]


def test_characters_without_a_font_are_spelled_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib import font_manager

    packaged = [entry for entry in font_manager.fontManager.ttflist if "mpl-data" in entry.fname]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", packaged)
    plot_text._fonts_for.cache_clear()
    try:
        assert print_fonts(["分"]).missing == "分"
        figure = Figure("f", "survival_curves", "分", "", "", curves(), {"level": 0.95})
        with pytest.warns(ChurnsurvWarning, match=r"has 2 of the characters .*U\+5206 U\+92B7.*fonts-noto-cjk"):
            content = render_pdf(one(Sentence((Part("分銷", "name"),)), figure))
    finally:
        plot_text._fonts_for.cache_clear()
    whole = text_of(content)
    assert "“U+5206U+92B7”" in whole
    assert whole.count("U+92B7") >= 2  # in the figure too
    assert "nofontfor2ofitscharacters" in pages_of(content)[0]


def curves() -> dict[str, list[Any]]:
    rows = pd.DataFrame({"duration": [30.0, 45.0, 60.0] * 4, "churned": [True] * 12, "by": ["分銷", "b"] * 6})
    found = ch.kaplan_meier(rows, by="by").table
    return {str(name): found[name].tolist() for name in found.columns}


def test_without_typst_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "typst", None)
    report = one(table(2, 2))
    with pytest.raises(InputError, match=r'pip install "churnsurv\[pdf\]"'):
        render_pdf(report)
    with pytest.raises(InputError, match=r'pip install "churnsurv\[pdf\]"'):
        write(report, tmp_path / "r", ("html", "pdf"))
    assert not list(tmp_path.iterdir())


def test_a_typst_without_the_standard_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    import typst

    def compile_(*_: object, **given: object) -> bytes:
        raise ValueError("unknown pdf standard: ua-1")

    monkeypatch.setattr(typst, "compile", compile_)
    with pytest.raises(InputError, match=r"0\.14\.4 or newer.*unknown pdf standard"):
        render_pdf(one(table(2, 2)))


def test_what_cannot_be_made_to_the_standard_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import typst

    real = typst.compile

    def compile_(*given: Any, **keys: Any) -> bytes:
        if "pdf_standards" in keys:
            raise typst.TypstError("PDF/UA-1 error: missing alt text")
        return real(*given, **keys)

    monkeypatch.setattr(typst, "compile", compile_)
    with pytest.warns(ChurnsurvWarning, match="not to the letter of PDF/UA-1: PDF/UA-1 error: missing alt text"):
        assert "text00" in text_of(render_pdf(one(table(2, 2))))


def test_the_folder_has_the_pages_asked_for(small: Callable[..., Report], tmp_path: Path) -> None:
    import json

    page = write(small(), tmp_path / "r", ("html", "pdf"))
    assert page.name == "report.html"
    listed = json.loads((page.parent / "manifest.json").read_text(encoding="utf-8"))["files"]
    assert listed["report.pdf"]["bytes"] == (page.parent / "report.pdf").stat().st_size
    page = write(small(), tmp_path / "r", ["pdf"])
    assert page.name == "report.pdf"
    assert not (page.parent / "report.html").exists()
    for formats in (("docx",), ()):
        with pytest.raises(InputError, match="html, pdf"):
            write(small(), tmp_path / "r", formats)


def test_only_some_sections(report: Report, drawn: Drawn) -> None:
    from churnsurv.report import render_html

    kept = report.only(["curves-c", "method"])
    assert [section.id for section in kept.sections] == ["curves-channel", "curves-cohort", "method"]
    assert kept.summary
    assert {sentence.link for sentence in kept.summary} <= {"curves-channel", "curves-cohort"}
    assert kept.tiles == ()
    assert kept.results is report.results
    assert "Churn by channel" in render_html(kept, drawn(kept))
    for asked in (["whyy"], [""], ["curves", "nothing"]):
        with pytest.raises(InputError, match=r"has no section .* Sections: .*curves-all"):
            report.only(asked)
    with pytest.raises(InputError, match="sections is empty"):
        report.only([])
    with pytest.raises(InputError, match="named by a text, not by None"):
        report.only(None)
    assert kept.provenance["report"]["sections"] == ["curves-channel", "curves-cohort", "method"]
    assert "onlytheseofthewholereport:Churnbychannel" in pages_of(render_pdf(kept, drawn(kept)))[0]
    assert [section.id for section in report.only("method").sections] == ["method"]


def test_the_search_for_fonts_is_silent_on_weights(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from matplotlib import font_manager

    real = font_manager.findfont

    def found(*given: Any, **more: Any) -> Any:
        font_manager._log.warning("findfont: Failed to find font weight")
        return real(*given, **more)

    monkeypatch.setattr(font_manager, "findfont", found)
    assert ord("a") in plot_text._glyphs("DejaVu Sans")
    assert caplog.text == ""
