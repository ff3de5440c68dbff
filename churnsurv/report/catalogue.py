"""The words of a language, and sentences made from them without losing what is a name and what is a number."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib import import_module
from typing import TypeAlias

from churnsurv.errors import InputError, did_you_mean
from churnsurv.plots.text import shown
from churnsurv.report.model import Part, Sentence

__all__ = ["LANGUAGES", "Catalogue", "Field", "catalogue", "name", "strong"]

LANGUAGES = ("en",)

Field: TypeAlias = str | int | Part


def name(text: object) -> Part:
    """Return a user's own word as a part of a sentence."""
    return Part(shown(text), "name")


def strong(text: str) -> Part:
    """Return a figure that a sentence is about."""
    return Part(text, "number")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The messages of one language."""

    lang: str
    messages: Mapping[str, str]

    def text(self, key: str, /, **fields: Field) -> str:
        """Return a message as plain text."""
        return self.say(key, **fields).text if fields else self.messages[key]

    def say(self, key: str, /, **fields: Field) -> Sentence:
        """Return a message as a sentence; fields that are `Part` keep their role.

        Examples
        --------
        >>> catalogue("en").say("summary.half", noun="users", day=strong("74"), range="71–77").parts[3].role
        'number'
        """
        parts: list[Part] = []
        for literal, field, _, _ in string.Formatter().parse(self.messages[key]):
            if literal:
                parts.append(Part(literal))
            if field is not None:
                value = fields[field]
                parts.append(value if isinstance(value, Part) else Part(str(value)))
        return Sentence(tuple(parts))

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
    return Catalogue(lang, module.MESSAGES)
