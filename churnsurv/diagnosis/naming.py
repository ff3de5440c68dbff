"""Names and lists of them within notes, so that a report can write both as its language does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from churnsurv.notes import Note, note
from churnsurv.tables.said import said_list

__all__ = ["both", "called", "every", "listed", "quoted", "said_by", "semicolons"]

_NAMED = 6
#: Variables that are named by us, as far as they are no column of the users.
_OURS: Mapping[str, Note] = MappingProxyType(
    {
        str(name): name
        for name in (
            note("stage"), note("channel"), note("cohort"), note("tenure"), note("month"), note("n_investments"),
            note("total_amount"), note("max_amount"), note("ever_boosted"), note("boosted_share"),
            note("login_interval"), note("balance"), note("registration_gap"),
        )
    }
)  # fmt: skip


def called(variable: str) -> str:
    """Write the name of a variable; a report knows those that are not the user's own under another one.

    Examples
    --------
    >>> called("tenure").template, called("plan")
    ('tenure', 'plan')
    """
    return _OURS.get(variable, variable)


_TOGETHER: Mapping[str, Note] = MappingProxyType(
    {
        str(name): name
        for name in (
            note("all"), note("(all)"), note("(touched)"), note("(untouched)"), note("(none)"), note("(missing)"),
            note("(small)"), note("(small untouched)"), note("other"), note("other bursts"),
        )
    }
)  # fmt: skip


def every(group: str) -> str:
    """Write the name of a group; a report knows those that are groups together under another one.

    Examples
    --------
    >>> every("(all)").template, every("tv")
    ('(all)', 'tv')
    """
    return _TOGETHER.get(group, group)


def quoted(name: str) -> Note:
    """Write a user's own name as Python does; a report has the quotes of its language.

    Examples
    --------
    >>> quoted("tv"), dict(quoted("tv").fields)
    ("'tv'", {'name': 'tv'})
    """
    text = repr(str(name))
    made = note("'{name}'", name=every(text[1:-1]))
    return Note(text, made.template, made.fields)


def semicolons(texts: Sequence[str]) -> str:
    """Write texts that have commas of their own one after the other.

    Examples
    --------
    >>> semicolons(["a, b", "c"])
    'a, b; c'
    """
    if len(texts) < 2:
        return texts[0] if texts else ""
    half = len(texts) // 2
    return note("{some}; {others}", some=semicolons(texts[:half]), others=semicolons(texts[half:]))


def said_by(message: Warning | str) -> str:
    """Return what a warning says, as it was said: a `Note` where it is one.

    Examples
    --------
    >>> said_by(UserWarning(note("{n} rows", n=3))).template
    '{n} rows'
    """
    text = message.args[0] if isinstance(message, Warning) and message.args else message
    return text if isinstance(text, str) else str(text)


def both(texts: Sequence[str]) -> str:
    """Write the few things that a sentence is about, with "and" between them.

    Examples
    --------
    >>> both(["30", "60"])
    '30 and 60'
    """
    if len(texts) < 2:
        return texts[0] if texts else ""
    return note("{some} and {others}", some=both(texts[:-1]), others=texts[-1])


def listed(texts: Sequence[str], most: int = _NAMED) -> str:
    """Name a few, and say how many more there are.

    Examples
    --------
    >>> listed(list("abcdefgh"))
    'a, b, c, d, e, f and 2 more'
    """
    said = said_list(texts[:most])
    return note("{some} and {n} more", some=said, n=f"{len(texts) - most:,}") if len(texts) > most else said
