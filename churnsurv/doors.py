"""The door of a room: its public names load on first use, and win over files of the same name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

__all__ = ["doors"]


class _Room(ModuleType):
    """A package whose public names win over its files: `cox` stays the function once the file cox.py is imported."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (isinstance(value, ModuleType) and name in self.__dict__["__all__"]):
            super().__setattr__(name, value)


def doors(package: str, home: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make ``__getattr__`` and ``__dir__`` of a package that offers names from its files.

    Parameters
    ----------
    package : str
        Its ``__name__``; it has `home`'s names in ``__all__``.
    home : Mapping of str to str
        The file, relative to the package, that each public name lives in.

    Examples
    --------
    >>> load, names = doors("churnsurv.data", {"ChurnRule": "rule"})
    >>> load("ChurnRule").__module__
    'churnsurv.data.rule'
    """
    module = sys.modules[package]
    module.__class__ = _Room

    def load(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{home[name]}"), name)
        setattr(module, name, value)
        return value

    return load, lambda: sorted({*vars(module), *home})
