"""A `Report` as a PDF: the report as JSON and its figures as SVG are given to Typst, which sets them by a template.

Users' texts are strings of the JSON and never part of the template, so that no markup of Typst or LaTeX in them means
anything.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any

from churnsurv.errors import ChurnsurvWarning, InputError
from churnsurv.plots.document import FONTS
from churnsurv.report.catalogue import catalogue
from churnsurv.report.figures import Drawing, drawings
from churnsurv.report.fonts import PrintFonts, link_fonts, print_fonts, spelled
from churnsurv.report.model import Report, require_sound
from churnsurv.report.pdf_content import content_of

__all__ = ["render_pdf", "require_typst"]

_INSTALL = 'The PDF needs the package typst (0.14.4 or newer). Install it with: pip install "churnsurv[pdf]"'


def render_pdf(report: Report, drawn: Mapping[str, Sequence[Drawing]] | None = None) -> bytes:
    r"""Return the report as a PDF, tagged for screen readers (PDF/UA-1), fonts embedded.

    Parameters
    ----------
    report : Report
    drawn : mapping, optional
        The drawings of each figure by its name, where they are made already.

    Returns
    -------
    bytes
        The same report gives the same bytes, with the same versions and, where it has characters that the fonts of
        the packages lack, the same fonts of the machine.

    Raises
    ------
    InputError
        If typst is not installed, or parts of a report made by hand do not fit.

    Warns
    -----
    ChurnsurvWarning
        If no font has some of the characters, which are spelled as code points then; or if the document cannot be made
        to the letter of PDF/UA-1.

    Examples
    --------
    >>> from churnsurv.report import build
    >>> render_pdf(build(title="#panic() $x$ \\input{a}"))[:5]
    b'%PDF-'
    """
    typst = require_typst()
    require_sound(report)
    made = {figure.name: drawings(figure) if drawn is None else drawn[figure.name] for figure in report.figures}
    content = content_of(report, made)
    pictures = {drawing.name: drawing.wide for each in made.values() for drawing in each}
    fonts = print_fonts([*_texts(content), *pictures.values()])
    content["fonts"] = list(fonts.text)
    if fonts.missing:
        _warn_of(fonts.missing)
        content["notice"] = _notice(report.lang, fonts.missing)
    with tempfile.TemporaryDirectory(prefix="churnsurv-pdf-") as name:
        folder = Path(name)
        _put(folder, content, pictures, fonts)
        return _compiled(typst, folder)


def require_typst() -> ModuleType:
    """Return the package that sets PDFs.

    Raises
    ------
    InputError
        If it is not installed, or too old: how to install it.
    """
    try:
        import typst
    except ImportError:
        raise InputError(_INSTALL) from None
    return typst


def _texts(content: Any) -> Iterable[str]:
    """Every text of plain data."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, Mapping):
        for each in content.values():
            yield from _texts(each)
    elif isinstance(content, (list, tuple)):
        for each in content:
            yield from _texts(each)


def _put(folder: Path, content: Mapping[str, Any], pictures: Mapping[str, str], fonts: PrintFonts) -> None:
    """Write what Typst reads: template, content, pictures and fonts."""
    template = resources.files("churnsurv.report").joinpath("templates/report.typ").read_text(encoding="utf-8")
    (folder / "report.typ").write_text(template, encoding="utf-8")
    # The characters that are spelled are never among those of JSON or XML themselves.
    text = spelled(json.dumps(content, ensure_ascii=False), fonts.missing)
    (folder / "report.json").write_text(text, encoding="utf-8")
    for each in ("figures", "fonts"):
        (folder / each).mkdir()
    families = ", ".join(f"'{family}'" for family in fonts.figures)
    for name, picture in pictures.items():
        text = spelled(picture.replace(FONTS, families, 1), fonts.missing)
        (folder / "figures" / f"{name}.svg").write_text(text, encoding="utf-8")
    link_fonts(fonts, folder / "fonts")


def _compiled(typst: ModuleType, folder: Path) -> bytes:
    """Let Typst set the document, to PDF/UA-1 where that can be."""
    given = {"root": str(folder), "font_paths": [str(folder / "fonts")], "ignore_system_fonts": True, "format": "pdf"}
    file = str(folder / "report.typ")
    try:
        return bytes(typst.compile(file, **given, pdf_standards=["ua-1"]))
    except ValueError as error:  # a version that does not know the standard
        raise InputError(f"{_INSTALL} --upgrade ({error})") from error
    except typst.TypstError as error:
        reason = str(getattr(error, "message", "") or error).strip().splitlines()[0]
        if "PDF/UA" not in reason:
            raise
        made = bytes(typst.compile(file, **given))
    warnings.warn(f"The PDF is tagged, but not to the letter of PDF/UA-1: {reason}.", ChurnsurvWarning, stacklevel=3)
    return made


def _notice(lang: str, missing: str) -> str:
    """What the document says of characters without a font, in words that can be read."""
    said = [catalogue(each).text("pdf.missing", n=f"{len(missing):,}") for each in (lang, "en")]
    return next(text for text in said if not set(text) & set(missing))


def _warn_of(missing: str) -> None:
    some = " ".join(f"U+{ord(character):04X}" for character in missing[:5]) + (" ..." if missing[5:] else "")
    warnings.warn(
        f"No installed font has {len(missing)} of the characters of the report ({some}): the PDF spells them as U+ "
        "codes. Install a font that has them, such as Noto Sans CJK for Chinese (Debian and Ubuntu: "
        "apt-get install fonts-noto-cjk), and make the report again.",
        ChurnsurvWarning,
        stacklevel=3,
    )
