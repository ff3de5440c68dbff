from __future__ import annotations

import matplotlib as mpl
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg

from churnsurv.plots import text
from churnsurv.plots.style import write
from churnsurv.plots.text import drawn, ems, families, missing_glyphs, notice, shown, text_stays_text


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
    notice(ax, ["分銷"], "{n} missing")
    notice(ax, ["分銷"], "{n} missing")
    figure = ax.get_figure(root=True)
    assert figure is not None
    assert [each.get_text() for each in figure.texts] == ["2 missing"]
    FigureCanvasAgg(figure).draw()  # a missing glyph would be a warning, and so an error


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
