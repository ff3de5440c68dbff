"""Sentences of results: an English text that remembers how it was made, so that a report can say it in its language."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

__all__ = ["Note", "note"]


class Note(str):
    """A text made from a template and its fields. Everywhere it is the English text; see `note`.

    Attributes
    ----------
    template : str
        English, with fields in braces; what a report looks for in the catalogue of its language.
    fields : mapping of str to str
        What stands in the braces. A field may be a `Note` itself, which is said in the language too.
    """

    __slots__ = ("fields", "template")

    template: str
    fields: Mapping[str, str]

    def __new__(cls, text: str, template: str, fields: Mapping[str, str]) -> Note:
        """Return the text with what it was made from; `note` is the way to make one."""
        made = super().__new__(cls, text)
        made.template = template
        made.fields = MappingProxyType(dict(fields))
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return Note, (str(self), self.template, dict(self.fields))


def note(template: str, /, **fields: object) -> Note:
    """Return a sentence on a result from a template and its fields.

    The template is a literal where this is called, so that a test can look for each of them in every language. Fields
    are finished texts: numbers with their separators, names as the user wrote them.

    Examples
    --------
    >>> said = note("{n} rows could not be used.", n=f"{1200:,}")
    >>> said, said.template, dict(said.fields)
    ('1,200 rows could not be used.', '{n} rows could not be used.', {'n': '1,200'})
    """
    held = {name: value if isinstance(value, str) else str(value) for name, value in fields.items()}
    return Note(template.format(**held), template, held)
