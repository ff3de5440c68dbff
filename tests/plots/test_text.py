from __future__ import annotations

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg

from churnsurv.plots import text
from churnsurv.plots.style import write
from churnsurv.plots.text import drawn, ems, families, missing_glyphs, notice, shown, text_stays_text
from churnsurv.plots.timelines import tier_timeline


def no_font(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that no font beyond matplotlib's own is installed."""
    monkeypatch.setattr(text, "_fonts_for", lambda characters: ((), characters))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("分銷", "分銷"),
        ("a\x00b", "a\ufffdb"),
        ("a\nb\tc", "a b c"),
        ("\u202egnp.exe", "\ufffdgnp.exe"),
        ("\ud800", "\ufffd"),
        ("", " "),
        (None, "None"),
        (2024, "2024"),
    ],
)
def test_text_is_shown_as_it_is_and_made_safe(given: object, expected: str) -> None:
    assert shown(given) == expected


def test_long_text_is_shortened_to_its_width() -> None:
    short = shown("channel " * 40, 12)
    assert short.endswith("…")
    assert ems(short) <= 12.3
    assert shown("short", 12) == "short"


def test_shortening_reads_each_character_a_fixed_number_of_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """A channel of 10,000 characters once took the report minutes: the work grew with the square."""
    seen = 0
    width_of = text._em

    def counted(character: str) -> float:
        nonlocal seen
        seen += 1
        return width_of(character)

    monkeypatch.setattr(text, "_em", counted)
    assert len(shown("x" * 10_000, 12)) < 30
    assert seen < 3 * 10_000


def test_chinese_is_as_wide_as_it_is() -> None:
    assert ems("分銷") == 2.0
    assert ems("ab") < 1.4


def test_latin_text_needs_no_further_font() -> None:
    assert families(["organic", "Ünïcode"]) == list(mpl.rcParams["font.family"])
    assert missing_glyphs(["organic"]) == ""


def test_an_installed_font_serves_what_the_first_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    glyphs = {"Noto Sans CJK SC": {ord("分"), ord("銷")}}
    monkeypatch.setattr(text, "_glyphs", lambda name: frozenset(glyphs.get(name, {ord("a")})))
    monkeypatch.setattr(text, "_fonts_for", text._fonts_for.__wrapped__)
    entries = [type("Entry", (), {"name": name})() for name in ("Arimo", "Noto Sans CJK SC", "Noto Color Emoji")]
    monkeypatch.setattr("matplotlib.font_manager.fontManager.ttflist", entries)
    assert families(["a分銷"]) == [*mpl.rcParams["font.family"], "Noto Sans CJK SC"]
    assert missing_glyphs(["a分銷流"]) == "流"


def test_without_a_font_characters_are_spelled_and_a_notice_says_so(monkeypatch: pytest.MonkeyPatch, ax: Axes) -> None:
    no_font(monkeypatch)
    assert drawn("分銷 a") == "U+5206 U+92B7  a"
    write(ax, "分銷", at=(0, 0))
    notice(ax, ["分銷"], {"missing_glyphs": "{n} missing"})
    notice(ax, ["分銷"], {"missing_glyphs": "{n} missing"})
    figure = ax.get_figure(root=True)
    assert figure is not None
    assert [each.get_text() for each in figure.texts] == ["2 missing"]
    FigureCanvasAgg(figure).draw()  # a missing glyph would be a warning, and so an error


def test_words_without_a_font_are_spelled_and_the_notice_is_one_that_can_be_read(
    monkeypatch: pytest.MonkeyPatch, ax: Axes
) -> None:
    no_font(monkeypatch)
    notice(ax, ["a"], {"axis": "閒置天數", "missing_glyphs": "缺少{n}個字元"})
    figure = ax.get_figure(root=True)
    assert figure is not None
    (written,) = (each.get_text() for each in figure.texts)
    assert written.startswith("No installed font has 9 of the characters")
    assert "Noto Sans CJK" in written


def test_months_and_units_of_a_language_without_a_font_are_no_silent_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    no_font(monkeypatch)
    dates = pd.to_datetime(["2024-02-01", "2024-09-01"])
    table = pd.DataFrame({"date": dates, "tier": "high", "n_users": [30_000, 90_000], "share": 0.5})
    months = {"months": "1月 2月 3月 4月 5月 6月 7月 8月 9月 10月 11月 12月", "units": "1e8 1e8 2 億; 1e4 1e4 2 萬"}
    ax = tier_timeline(table, words=months)
    figure = ax.get_figure(root=True)
    assert figure is not None
    FigureCanvasAgg(figure).draw()  # a missing glyph would be a warning, and so an error
    assert any(label.get_text().endswith("U+6708") for label in ax.get_xticklabels())
    assert any(label.get_text().endswith("U+842C") for label in ax.get_yticklabels())
    assert len(figure.texts) == 1


def test_text_of_an_svg_is_never_spelled(monkeypatch: pytest.MonkeyPatch) -> None:
    no_font(monkeypatch)
    with text_stays_text():
        assert drawn("分銷") == "分銷"
    assert drawn("分銷") != "分銷"


def test_mathematics_is_not_read(ax: Axes) -> None:
    write(ax, r"$\frac{$", at=(0, 0))
    figure = ax.get_figure(root=True)
    assert figure is not None
    FigureCanvasAgg(figure).draw()  # mathtext would raise
    assert ax.texts[0].get_text() == r"$\frac{$"
