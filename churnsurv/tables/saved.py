"""Saved results: which room reads which kind, and how a file is written whole or not at all.

A saved result is a JSON object with ``"format": {"kind": ..., "version": ...}``. This room knows the kinds by name
only; the room that a kind belongs to is loaded when a file of it is read, so that no room has to know a later one.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from churnsurv.errors import InputError, did_you_mean

__all__ = ["READERS", "load", "parsed", "read_text", "write_text"]

#: The function of a path that reads each kind, by module.
READERS: Mapping[str, tuple[str, str]] = {
    "CoxFit": ("churnsurv.survival.saving", "load"),
    "TierScheme": ("churnsurv.warning.scheme_saving", "load"),
}


def load(path: str | Path) -> Any:
    """Read a saved result: a `CoxFit` (what ``to_json()`` wrote), or a `TierScheme` (what ``save()`` wrote).

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    CoxFit or TierScheme
        Nothing in the file is executed.

    Raises
    ------
    InputError
        If there is no such file, or it holds something else, is damaged, or comes from a newer version.

    Examples
    --------
    >>> import pandas as pd, tempfile
    >>> from churnsurv.survival import cox
    >>> data = pd.DataFrame({"duration": [1, 2, 3], "churned": [True, True, True], "x": [0.0, 1.0, 0.0]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_text(Path(folder, "fit.json"), cox("x", data).to_json())
    ...     load(path).formula
    'x'
    """
    name = repr(str(path))
    whole = parsed(read_text(path), name)
    form = whole.get("format")
    kind = form.get("kind") if isinstance(form, dict) else None
    if not isinstance(kind, str):
        of = whole.get("kind")
        what = f"the result of a {of}" if isinstance(of, str) else "something else"
        raise InputError(
            f"{name} holds {what}, not a saved one: it has no 'format' with a 'kind'. What CoxFit.to_json() or "
            "TierScheme.save() writes can be read."
        )
    if kind not in READERS:
        raise InputError(
            f"{name} holds a {kind}; this version reads {' and '.join(READERS)}.{did_you_mean(kind, READERS)} Update "
            "churnsurv."
        )
    module, reader = READERS[kind]
    return getattr(import_module(module), reader)(path)


def read_text(path: str | Path) -> str:
    """Read a text file.

    Raises
    ------
    InputError
        If there is none (the nearest name in its folder is given), or it cannot be read as text.
    """
    place = Path(path)
    try:
        return place.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        beside = [str(one.name) for one in place.parent.iterdir()] if place.parent.is_dir() else []
        raise InputError(f"there is no file {str(path)!r}.{did_you_mean(place.name, beside)}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{str(path)!r} is no text: a saved result is JSON.") from error
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be read: {error.strerror}.") from error


def parsed(text: str, name: str) -> Mapping[str, Any]:
    """Return the JSON object in a text; `name` names it in errors.

    Raises
    ------
    InputError
        If there is none.

    Examples
    --------
    >>> parsed('{"kind": "CoxFit"}', "the text")
    {'kind': 'CoxFit'}
    """
    if not isinstance(text, str):
        raise InputError(f"a saved result is text; got {type(text).__name__}.")
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InputError(f"{name} is no JSON ({error}): it is cut off, or is no saved result.") from error
    except RecursionError as error:
        raise InputError(f"{name} is nested too deeply to be a saved result.") from error
    if not isinstance(found, dict):
        raise InputError(f"{name} holds no saved result: it is a JSON {type(found).__name__}, not an object.")
    return found


def write_text(path: str | Path, text: str) -> Path:
    """Write a text file whole or not at all, and return its path.

    It is written under another name beside its place, brought to the disk, and then takes its place in one step. A
    file that is there is replaced only if it holds a saved result, too.

    Raises
    ------
    InputError
        If the file cannot be written, or another one stands in the way.
    """
    target = Path(path).expanduser().resolve()
    _check_place(target, str(path))
    new = target.with_name(f".{target.name}.new-{secrets.token_hex(4)}")
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"{str(path)!r} cannot be written: a name holds half a character ({error.reason}).") from error
    try:
        with new.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        raise InputError(f"{str(path)!r} cannot be written: {error.strerror or error}.") from error
    return target


def _check_place(target: Path, said: str) -> None:
    if not target.parent.is_dir():
        raise InputError(f"there is no folder {str(target.parent)!r} to write {target.name!r} into. Make it first.")
    if target.is_dir():
        raise InputError(f"{said!r} is a folder. Name a file in it, such as {str(Path(said, 'tiers.json'))!r}.")
    if not target.exists():
        return
    try:
        form = parsed(read_text(target), "it").get("format")
        ours = isinstance(form, dict) and isinstance(form.get("kind"), str)
    except InputError:
        ours = False
    if not ours:
        raise InputError(
            f"{said!r} is there and holds no saved result, so it is not replaced. Name another file, or remove it."
        )
