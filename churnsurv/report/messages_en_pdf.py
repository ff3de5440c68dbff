"""The words of the printed report, in English; a part of the catalogue in `messages_en`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["PDF"]

PDF: Mapping[str, str] = MappingProxyType(
    {
        "pdf.figure": "Figure",
        "pdf.table": "Table",
        "pdf.page": "page {page}",
        "pdf.pages": "{page} of {pages}",
        "pdf.continued": "Table {n}, continued",
        "pdf.sections": "Sections",
        "pdf.only": "only these of the whole report: {names}",
        "pdf.study": "Study",
        "pdf.data": "Data",
        "pdf.seed": "Seed",
        "pdf.made": "Made with",
        "pdf.hash": "{name}, SHA-256 {digits}…",
        "pdf.missing": "The machine that made this document has no font for {n} of its characters: they are spelled as "
        "U+ and their code. Install a font that has them, such as Noto Sans CJK for Chinese, and make the report "
        "again.",
    }
)
