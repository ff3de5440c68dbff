"""Curves, tests and models of the time to churn: table and formula doors to the formulas of `numerics`."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from churnsurv.survival.concordance import Concordance, concordance
    from churnsurv.survival.contrasts import Contrasts
    from churnsurv.survival.cox import cox
    from churnsurv.survival.cox_fit import CoxFit
    from churnsurv.survival.cox_path import CoxPath, cox_path
    from churnsurv.survival.curves import SurvivalCurves, kaplan_meier
    from churnsurv.survival.ph_test import PHTest, ph_test
    from churnsurv.survival.saving import load
    from churnsurv.survival.tests_ import TestResult, logrank

__all__ = [
    "Concordance",
    "Contrasts",
    "CoxFit",
    "CoxPath",
    "PHTest",
    "SurvivalCurves",
    "TestResult",
    "concordance",
    "cox",
    "cox_path",
    "kaplan_meier",
    "load",
    "logrank",
    "ph_test",
]

_HOME = {
    "Concordance": "concordance",
    "Contrasts": "contrasts",
    "CoxFit": "cox_fit",
    "CoxPath": "cox_path",
    "PHTest": "ph_test",
    "SurvivalCurves": "curves",
    "TestResult": "tests_",
    "concordance": "concordance",
    "cox": "cox",
    "cox_path": "cox_path",
    "kaplan_meier": "curves",
    "load": "saving",
    "logrank": "tests_",
    "ph_test": "ph_test",
}


class _Room(ModuleType):
    """A package whose public names win over its files: `cox` stays the function once the file cox.py is imported."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Room


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'churnsurv.survival' has no attribute {name!r}")
    return getattr(import_module(f"churnsurv.survival.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
