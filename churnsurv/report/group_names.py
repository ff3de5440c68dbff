"""What groups, terms and levels of results are called: a user's own word, or one of ours in the language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from churnsurv.notes import Note
from churnsurv.plots.text import shown
from churnsurv.report.catalogue import Catalogue

__all__ = ["column_of", "group_of", "said", "with_variable"]


def column_of(words: Catalogue, column: object) -> str:
    """Return the name of a column: the user's own, but for those that every study has.

    Examples
    --------
    >>> from churnsurv.report.catalogue import catalogue
    >>> words = catalogue("zh-Hant")
    >>> column_of(words, "plan"), column_of(words, "channel")
    ('plan', '通路')
    """
    key = f"column.{column}"
    return words.text(key) if words.has(key) else shown(column)


def group_of(words: Catalogue, group: object) -> str:
    """Return the name of a group: the user's own, but for groups put together and users without a value.

    Examples
    --------
    >>> from churnsurv.report.catalogue import catalogue
    >>> words = catalogue("zh-Hant")
    >>> group_of(words, "tv"), group_of(words, "other")
    ('tv', '其他')
    """
    key = f"together.{group}"
    return words.text(key) if words.has(key) else shown(group)


def said(words: Catalogue, text: object) -> str:
    """Return a word of a result in the language, fit to be shown; a text of somebody else as it is."""
    return shown(words.note(text) if isinstance(text, str) else text)


def with_variable(words: Catalogue, text: str, names: Mapping[str, str]) -> str:
    """Return a note that is about a variable in the language, the variable called as in `names`.

    Examples
    --------
    >>> from churnsurv.notes import note
    >>> from churnsurv.report.catalogue import catalogue
    >>> with_variable(catalogue("en"), note("{variable}: 3 users.", variable="max_amount"), {"max_amount": "Amount"})
    'Amount: 3 users.'
    """
    if not isinstance(text, Note) or text.fields.get("variable") not in names:
        return words.note(text)
    fields: dict[str, Any] = {**text.fields, "variable": names[text.fields["variable"]]}
    return words.note(Note(text.template.format(**fields), text.template, fields))
