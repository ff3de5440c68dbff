"""User text in figures: shown as it is, never interpreted, never a silent box.

Three things can go wrong with a channel name in a plot: a `$` starts mathematics, a control character breaks the
file, and a font without the glyph draws an empty box. All texts of this room go through `shown` and `drawn`.
"""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING

from churnsurv.plots.words import WORDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["drawn", "ems", "families", "missing_glyphs", "notice", "shown", "text_stays_text"]

# Looked for in this order; traditional forms first, since 分銷 is written in them.
CJK_FONTS = (
    "Noto Sans CJK TC",
    "Noto Sans TC",
    "PingFang TC",
    "PingFang HK",
    "Microsoft JhengHei",
    "Source Han Sans TC",
    "Noto Sans CJK SC",
    "Noto Sans CJK HK",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "PingFang SC",
    "Microsoft YaHei",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Heiti TC",
    "SimHei",
    "Arial Unicode MS",
)
_NOTICE = "churnsurv-missing-glyphs"
_TEXT_STAYS = ContextVar("text_stays", default=False)


def shown(value: object, width: float | None = None) -> str:
    r"""Return the text of a value as a figure shows it.

    Control characters, lone surrogates and marks that turn the direction of writing become U+FFFD, white space
    becomes a blank, and a text wider than `width` (in ems of its font size) ends in an ellipsis.

    Examples
    --------
    >>> shown("pay\nnow"), shown("wealth_supermarket", 6)
    ('pay now', 'wealth_s…')
    """
    text = "".join(_safe(character) for character in str(value)).strip() or " "
    if width is None or ems(text) <= width:
        return text
    taken, end = _em(text[0]), 1
    while end < len(text) and taken + _em(text[end]) <= width - 0.8:
        taken, end = taken + _em(text[end]), end + 1
    return text[:end].rstrip() + "…"


def _safe(character: str) -> str:
    if character.isspace():
        return " "
    unsafe = unicodedata.category(character) in {"Cc", "Cs", "Cn"} or character in "\u202a\u202b\u202c\u202d\u202e"
    turned = "\u2066" <= character <= "\u2069" or character in "\u200e\u200f"
    return "\ufffd" if unsafe or turned else character


def ems(text: str) -> float:
    """Return the width of a text in units of its font size, estimated from the characters alone.

    No font is measured, so that a figure has the same layout on every machine.

    Examples
    --------
    >>> ems("分銷")
    2.0
    """
    return float(sum(_em(character) for character in text))


def _em(character: str) -> float:
    if unicodedata.combining(character):
        return 0.0
    if unicodedata.east_asian_width(character) in {"W", "F"}:
        return 1.0
    if character in "iljtfrI.,:;|!'()[] ":
        return 0.36
    if character in "mwMW%@<>=+~&$#" or character.isupper():
        return 0.8
    return 0.62


@contextmanager
def text_stays_text() -> Iterator[None]:
    """Say that the figure becomes an SVG whose text stays text, so that the viewer's fonts serve."""
    token = _TEXT_STAYS.set(True)
    try:
        yield
    finally:
        _TEXT_STAYS.reset(token)


@contextmanager
def _quiet_search() -> Iterator[None]:
    """No word on weights that a family lacks: only its characters are asked for."""
    log = logging.getLogger("matplotlib.font_manager")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _glyphs(family: str) -> frozenset[int]:
    """The code points of the font that serves a family; empty where none is installed or it cannot be read."""
    from matplotlib import font_manager

    try:
        with _quiet_search():
            path = font_manager.findfont(font_manager.FontProperties(family=[family]), fallback_to_default=False)
        return _charmap(path)
    except (ValueError, RuntimeError, OSError):  # not installed, or a font that FreeType cannot open
        return frozenset()


@cache
def _charmap(path: str) -> frozenset[int]:
    from matplotlib import font_manager

    return frozenset(font_manager.get_font(path).get_charmap())


@cache
def _fonts_for(characters: str) -> tuple[tuple[str, ...], str]:
    """Installed fonts that together have these characters, and the characters that none has.

    The preferred fonts come first, then any, in order of name.
    """
    from matplotlib import font_manager

    installed = sorted({entry.name for entry in font_manager.fontManager.ttflist})
    others = [name for name in installed if not any(word in name for word in ("Emoji", "Last Resort", "Color"))]
    fonts, left = [], {ord(character) for character in characters}
    for name in (*(font for font in CJK_FONTS if font in installed), *others):
        if not left:
            break
        if left & _glyphs(name):
            fonts.append(name)
            left -= _glyphs(name)
    return tuple(fonts), "".join(character for character in characters if ord(character) in left)


def families(texts: Iterable[str]) -> list[str]:
    """Return the fonts to draw these texts with: the user's own, then those that have what they lack."""
    import matplotlib as mpl

    return [*mpl.rcParams["font.family"], *_fonts_for(_lacking(texts))[0]]


def _lacking(texts: Iterable[str]) -> str:
    """The characters that the user's own fonts lack, each once, in order."""
    import matplotlib as mpl

    characters = sorted({character for text in texts for character in text if not character.isspace()})
    plain = [character for character in characters if ord(character) > 126]
    if not plain:
        return ""
    own = frozenset().union(*(_glyphs(name) for name in mpl.rcParams["font.family"]))
    return "".join(character for character in plain if ord(character) not in own)


def missing_glyphs(texts: Iterable[str]) -> str:
    """Return the characters that no installed font has; an empty text where all are served."""
    return _fonts_for(_lacking(texts))[1]


def drawn(text: str) -> str:
    """Return the text to draw: characters that no installed font has are spelled as code points.

    In an SVG whose text stays text nothing is spelled.
    """
    missing = "" if _TEXT_STAYS.get() else missing_glyphs([text])
    return "".join(f"U+{ord(c):04X} " if c in missing else c for c in text).strip() if missing else text


def notice(ax: Axes, texts: Iterable[str], said: Mapping[str, str]) -> None:
    """Write once below the figure that characters had to be spelled, and give numbers at the axes the fonts they need.

    `texts` are the names in the figure, `said` its words: with "missing_glyphs", which has a field `n`. Where that
    sentence itself cannot be written, it stands there in English.
    """
    needed = [*texts, *said.values()]
    ax.tick_params(which="both", labelfontfamily=families(needed))
    missing = "" if _TEXT_STAYS.get() else missing_glyphs(needed)
    figure = ax.get_figure(root=True)
    if not missing or figure is None or any(old.get_gid() == _NOTICE for old in figure.texts):
        return
    own = said["missing_glyphs"]
    message = (WORDS["missing_glyphs"] if missing_glyphs([own]) else own).format(n=len(missing))
    written = figure.text(0.01, 0.005, message, fontsize=7, parse_math=False, family=families([message]))
    written.set_gid(_NOTICE)
