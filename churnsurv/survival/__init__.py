"""Curves, tests and models of the time to churn: table and formula doors to the formulas of `numerics`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from churnsurv.survival.auc import TimeDependentAUC, time_dependent_auc
    from churnsurv.survival.brier import BrierScore, brier_score
    from churnsurv.survival.calibration import Calibration, calibration
    from churnsurv.survival.compare import ConcordanceComparison, compare_concordance
    from churnsurv.survival.competing import CumulativeIncidence, cumulative_incidence
    from churnsurv.survival.concordance import Concordance, concordance
    from churnsurv.survival.contrasts import Contrasts
    from churnsurv.survival.cox import cox
    from churnsurv.survival.cox_fit import CoxFit
    from churnsurv.survival.cox_path import CoxPath, cox_path
    from churnsurv.survival.curves import SurvivalCurves, kaplan_meier
    from churnsurv.survival.decision import DecisionCurve, decision_curve
    from churnsurv.survival.fine_gray import fine_gray
    from churnsurv.survival.fine_gray_fit import FineGrayFit, incidence_totals
    from churnsurv.survival.gray import GrayTests, gray_test
    from churnsurv.survival.pairwise import PairwiseTests, pairwise_logrank
    from churnsurv.survival.ph_test import PHTest, ph_test
    from churnsurv.survival.recurrent import MeanCumulativeCurves, mean_cumulative_churns
    from churnsurv.survival.rmst import RMST, RMSTDifference, rmst, rmst_difference
    from churnsurv.survival.saving import load
    from churnsurv.survival.tests_ import TestResult, logrank

__all__ = [
    "RMST",
    "BrierScore",
    "Calibration",
    "Concordance",
    "ConcordanceComparison",
    "Contrasts",
    "CoxFit",
    "CoxPath",
    "CumulativeIncidence",
    "DecisionCurve",
    "FineGrayFit",
    "GrayTests",
    "MeanCumulativeCurves",
    "PHTest",
    "PairwiseTests",
    "RMSTDifference",
    "SurvivalCurves",
    "TestResult",
    "TimeDependentAUC",
    "brier_score",
    "calibration",
    "compare_concordance",
    "concordance",
    "cox",
    "cox_path",
    "cumulative_incidence",
    "decision_curve",
    "fine_gray",
    "gray_test",
    "incidence_totals",
    "kaplan_meier",
    "load",
    "logrank",
    "mean_cumulative_churns",
    "pairwise_logrank",
    "ph_test",
    "rmst",
    "rmst_difference",
    "time_dependent_auc",
]

from churnsurv.doors import doors

_HOME = {
    "BrierScore": "brier",
    "Calibration": "calibration",
    "Concordance": "concordance",
    "ConcordanceComparison": "compare",
    "Contrasts": "contrasts",
    "CoxFit": "cox_fit",
    "CoxPath": "cox_path",
    "CumulativeIncidence": "competing",
    "DecisionCurve": "decision",
    "FineGrayFit": "fine_gray_fit",
    "GrayTests": "gray",
    "MeanCumulativeCurves": "recurrent",
    "PHTest": "ph_test",
    "PairwiseTests": "pairwise",
    "RMST": "rmst",
    "RMSTDifference": "rmst",
    "SurvivalCurves": "curves",
    "TestResult": "tests_",
    "TimeDependentAUC": "auc",
    "brier_score": "brier",
    "calibration": "calibration",
    "compare_concordance": "compare",
    "concordance": "concordance",
    "cox": "cox",
    "cox_path": "cox_path",
    "cumulative_incidence": "competing",
    "decision_curve": "decision",
    "fine_gray": "fine_gray",
    "gray_test": "gray",
    "incidence_totals": "fine_gray_fit",
    "kaplan_meier": "curves",
    "load": "saving",
    "logrank": "tests_",
    "mean_cumulative_churns": "recurrent",
    "pairwise_logrank": "pairwise",
    "ph_test": "ph_test",
    "rmst": "rmst",
    "rmst_difference": "rmst",
    "time_dependent_auc": "auc",
}
__getattr__, __dir__ = doors(__name__, _HOME)
