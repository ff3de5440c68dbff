"""Fonts of the printed report: those that come with our packages, and of the machine only what they lack.

Typst brings Libertinus Serif for the text, matplotlib DejaVu Sans for the figures, so that a report in Latin letters
is the same on every machine. Where a text has other characters, fonts of the machine are looked for as figures do.
"""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from churnsurv.plots.text import CJK_FONTS, families, missing_glyphs

__all__ = ["PrintFonts", "link_fonts", "print_fonts", "spelled"]

SERIF = "Libertinus Serif"
SANS = "DejaVu Sans"
# Chinese text of a book is set in Ming; looked for in this order, before the sans fonts that figures take.
_CJK_SERIF = (
    "Noto Serif CJK TC",
    "Noto Serif TC",
    "Source Han Serif TC",
    "Songti TC",
    "PMingLiU",
    "Noto Serif CJK SC",
    "Noto Serif CJK HK",
    "Noto Serif CJK JP",
    "Songti SC",
    "SimSun",
)
_DEJAVU = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSans-Oblique.ttf", "DejaVuSans-BoldOblique.ttf")
_KINDS = {".ttf", ".otf", ".ttc", ".otc"}


@dataclass(frozen=True, slots=True)
class PrintFonts:
    """The fonts of a document.

    Attributes
    ----------
    text, figures : tuple of str
        Families in the order in which they are tried.
    files : tuple of Path
        What is to be given to Typst beside its own.
    missing : str
        Characters that no font has.
    """

    text: tuple[str, ...]
    figures: tuple[str, ...]
    files: tuple[Path, ...]
    missing: str


def print_fonts(texts: Iterable[str]) -> PrintFonts:
    """Return the fonts that these texts need.

    Examples
    --------
    >>> fonts = print_fonts(["Churn 30–40%"])
    >>> fonts.text, fonts.figures, fonts.missing
    (('Libertinus Serif', 'DejaVu Sans'), ('DejaVu Sans',), '')
    """
    import matplotlib as mpl

    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    characters = sorted({character for text in texts for character in text if not _has_no_shape(character)})
    with mpl.rc_context({"font.family": [SANS]}):
        missing = missing_glyphs(characters)
        found = [name for name in families(characters) if name != SANS]
    files = _installed() if found else {}
    serif = [name for name in _CJK_SERIF if name in files][:1] if set(found) & set(CJK_FONTS) else []
    further = [path for name in (*serif, *found) for path in files.get(name, ())]
    return PrintFonts(
        text=(SERIF, *serif, SANS, *found),
        figures=(*found, SANS),
        files=(*(folder / name for name in _DEJAVU), *dict.fromkeys(further)),
        missing=missing,
    )


def _has_no_shape(character: str) -> bool:
    """Whether a character steers others and is not drawn itself: blanks, joiners, selectors, isolates."""
    selects = "\ufe00" <= character <= "\ufe0f"
    return character.isspace() or unicodedata.category(character) == "Cf" or selects


def _installed() -> dict[str, tuple[Path, ...]]:
    """The files of each installed family that Typst can read: the upright one of regular weight, and the bold one."""
    from matplotlib import font_manager

    found: dict[str, dict[str, tuple[int, Path]]] = {}
    for entry in font_manager.fontManager.ttflist:
        path = Path(entry.fname)
        if entry.style != "normal" or path.suffix.lower() not in _KINDS or not isinstance(entry.weight, int):
            continue
        which = "bold" if entry.weight >= 600 else "regular"
        off = abs(entry.weight - (700 if which == "bold" else 400))
        files = found.setdefault(entry.name, {})
        if which not in files or (off, path) < files[which]:
            files[which] = (off, path)
    return {name: tuple(path for _, path in files.values()) for name, files in sorted(found.items())}


def link_fonts(fonts: PrintFonts, folder: Path) -> None:
    """Put the font files into a folder: links where the system has them, else copies."""
    for place, path in enumerate(fonts.files):
        target = folder / f"{place:02d}{path.suffix.lower()}"
        try:
            target.symlink_to(path)
        except OSError:  # a system where links are a privilege
            shutil.copyfile(path, target)


def spelled(text: str, missing: str) -> str:
    """Return a text with the characters that no font has spelled as code points.

    Examples
    --------
    >>> spelled("a分b", "分")
    'aU+5206 b'
    """
    return text.translate({ord(c): f"U+{ord(c):04X} " for c in missing})
