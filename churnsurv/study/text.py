"""Small things about text files: written whole or not at all, and bars that any terminal can show."""

from __future__ import annotations

import json
from pathlib import Path

from churnsurv.errors import InputError

__all__ = ["bar", "one_line", "toml", "write_text"]


def write_text(path: Path, text: str) -> Path:
    """Write a text file in UTF-8 under a draft name, and rename it when it is complete.

    Raises
    ------
    InputError
        If the folder cannot be written.
    """
    draft = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8", newline="\n")
        draft.replace(path)
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be written: {error.strerror}. Choose another place.") from error
    finally:
        draft.unlink(missing_ok=True)
    return path


def toml(value: str) -> str:
    r"""Quote a text for TOML.

    Examples
    --------
    >>> print(toml('a "b"'))
    "a \"b\""
    """
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def bar(share: float, width: int = 40) -> str:
    """Draw a share between 0 and 1 as a bar.

    Examples
    --------
    >>> bar(0.5, 8)
    '####    '
    """
    return ("#" * round(share * width)).ljust(width)


def one_line(reason: object) -> str:
    r"""Say a reason as one sentence on one line.

    Examples
    --------
    >>> one_line("nobody\nchurned")
    'Nobody churned.'
    """
    text = " ".join(str(reason).split())
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "?", "!")) else f"{text}."
