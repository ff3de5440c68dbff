"""The words of a language, and sentences made from them without losing what is a name and what is a number."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from importlib import import_module
from typing import TypeAlias

from churnsurv.errors import InputError, did_you_mean
from churnsurv.notes import Note
from churnsurv.plots.text import shown
from churnsurv.report.model import Part, Sentence

__all__ = ["LANGUAGES", "Catalogue", "Field", "catalogue", "name", "strong"]

LANGUAGES = ("en", "zh-Hant")

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")

Field: TypeAlias = str | int | Part


def name(text: object) -> Part:
    """Return a user's own word as a part of a sentence."""
    return Part(shown(text), "name")


def strong(text: str) -> Part:
    """Return a figure that a sentence is about."""
    return Part(text, "number")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The messages of one language.

    Attributes
    ----------
    lang : str
    messages : mapping of key to text
        Fields stand in braces.
    notes : mapping of English template to text
        What results say of themselves; see `churnsurv.notes`. Empty in English.
    """

    lang: str
    messages: Mapping[str, str]
    notes: Mapping[str, str] = field(default_factory=dict)

    def text(self, key: str, /, **fields: Field) -> str:
        """Return a message as plain text."""
        return self.plain(self.say(key, **fields)) if fields else self.messages[key]

    def plain(self, sentence: Sentence) -> str:
        """Return a sentence as plain text, a user's words in the quotes of the language."""
        return sentence.quoted(self.lang)

    def note(self, text: str) -> str:
        """Return what a result says of itself in this language; a text of somebody else stays as it is.

        Examples
        --------
        >>> from churnsurv.notes import note
        >>> catalogue("en").note(note("{n} rows could not be used.", n="1,200"))
        '1,200 rows could not be used.'
        """
        if not isinstance(text, Note) or text.template not in self.notes:
            return str(text)
        fields = {name: self._field(value) for name, value in text.fields.items()}
        return self.notes[text.template].format(**fields)

    def _field(self, text: str) -> str:
        """What stands in a note: a note of its own, a day, or a text that stays as it is."""
        return self.date(text) if _DAY.fullmatch(text) else self.note(text)

    def joined(self, *sentences: Sentence, link: str | None = None) -> Sentence:
        """Return sentences as one, with the room between them that the language leaves.

        Examples
        --------
        >>> words = catalogue("en")
        >>> words.joined(words.say("or", first="A", last="B."), words.say("or", first="C", last="D.")).text
        'A or B. C or D.'
        """
        parts: list[Part] = []
        for sentence in sentences:
            if sentence.parts:
                parts += [Part(self.messages["joint"])] if parts and self.messages["joint"] else []
                parts += sentence.parts
        return Sentence(tuple(parts), link)

    def say(self, key: str, /, **fields: Field) -> Sentence:
        """Return a message as a sentence; fields that are `Part` keep their role.

        Examples
        --------
        >>> catalogue("en").say("summary.half", noun="users", day=strong("74"), range="71–77").parts[3].role
        'number'
        """
        parts: list[Part] = []
        for literal, name, _, _ in string.Formatter().parse(self.messages[key]):
            if literal:
                parts.append(Part(literal))
            if name is not None:
                value = fields[name]
                parts.append(value if isinstance(value, Part) else Part(str(value)))
        return Sentence(tuple(parts))

    def commas(self, items: Iterable[str]) -> str:
        """Return words one after the other, with the comma of lists."""
        return self.messages["comma"].join(items)

    def semicolons(self, items: Iterable[str]) -> str:
        """Return clauses one after the other."""
        return self.messages["semicolon"].join(items)

    def paragraph(self, texts: Iterable[str]) -> str:
        """Return finished sentences one after the other, with the room between them that the language leaves.

        Examples
        --------
        >>> catalogue("en").paragraph(["One.", "Two."]), catalogue("zh-Hant").paragraph(["其一。", "其二。"])
        ('One. Two.', '其一。其二。')
        """
        return self.messages["joint"].join(text for text in texts if text)

    def headed(self, head: str, text: str) -> str:
        """Return a text behind a word and a colon."""
        return f"{head}{self.messages['colon']}{text}"

    def bracketed(self, text: str) -> str:
        """Return a text in brackets, with the blank before them that the language has.

        Examples
        --------
        >>> "41%" + catalogue("en").bracketed("40–42%"), "41%" + catalogue("zh-Hant").bracketed("40–42%")
        ('41% (40–42%)', '41%（40–42%）')
        """
        return self.messages["bracketed"].format(text=text)

    def has(self, key: str) -> bool:
        """Tell whether there is such a message."""
        return key in self.messages

    def date(self, value: object) -> str:
        """Return a day in words.

        Examples
        --------
        >>> catalogue("en").date("2024-05-01")
        '1 May 2024'
        """
        given = value if isinstance(value, date) else date.fromisoformat(str(value)[:10])
        month = self.messages["months"].split()[given.month - 1]
        return self.messages["date"].format(day=given.day, month=month, year=given.year)

    def listed(self, items: list[str]) -> str:
        """Return items as a list in words.

        Examples
        --------
        >>> catalogue("en").listed(["login", "invest", "redeem"])
        'login, invest or redeem'
        """
        if len(items) < 2:
            return "".join(items)
        return self.messages["or"].format(first=self.messages["comma"].join(items[:-1]), last=items[-1])


def catalogue(lang: str) -> Catalogue:
    """Return the catalogue of a language.

    Raises
    ------
    InputError
        If there is none.
    """
    if lang not in LANGUAGES:
        raise InputError(
            f"There is no report in the language {lang!r}.{did_you_mean(str(lang), LANGUAGES)} Languages: "
            f"{', '.join(LANGUAGES)}."
        )
    module = import_module(f"churnsurv.report.messages_{lang.replace('-', '_').lower()}")
    return Catalogue(lang, module.MESSAGES, getattr(module, "NOTES", {}))
