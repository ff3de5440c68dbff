"""Figures: a tidy table and an Axes go in, the Axes comes out. Nothing is fitted here.

Each plot has a `..._frame` beside it that says how large a figure of a given width must be, and how much room its
names and numbers need around the axes.
"""

from __future__ import annotations

from churnsurv.doors import doors

_HOME = {
    "tier_bands": "tiers",
    "tier_bands_frame": "tiers",
    "Frame": "style",
    "backtest": "backtests",
    "backtest_frame": "backtests",
    "backtest_gains": "backtests",
    "backtest_gains_frame": "backtests",
    "backtest_rules": "backtests",
    "backtest_rules_frame": "backtests",
    "calibration": "calibrations",
    "calibration_frame": "calibrations",
    "change_points": "changes",
    "change_points_frame": "changes",
    "channel_value": "channels",
    "channel_value_frame": "channels",
    "churn_profile": "profile",
    "churn_profile_frame": "profile",
    "churn_structure": "structure",
    "churn_structure_frame": "structure",
    "cohort_bursts": "bursts",
    "cohort_bursts_frame": "bursts",
    "cutpoint": "cuts",
    "cutpoint_frame": "cuts",
    "day_differences": "differences",
    "day_differences_frame": "differences",
    "day_means": "differences",
    "decision_curve": "decision",
    "decision_curve_frame": "decision",
    "forest": "ratios",
    "forest_frame": "ratios",
    "hazard_curves": "hazard",
    "hazard_curves_frame": "hazard",
    "hazard_ratio_windows": "windows",
    "hazard_ratio_windows_frame": "windows",
    "idle_risk": "idle_risks",
    "idle_risk_frame": "idle_risks",
    "incidence_curves": "incidence",
    "incidence_frame": "incidence",
    "lifecycle": "structure",
    "lifecycle_frame": "structure",
    "penalty_path": "penalties",
    "penalty_path_frame": "penalties",
    "rule_sweep": "sweep",
    "rule_sweep_frame": "sweep",
    "rule_sweep_quantities": "sweep",
    "survival_curves": "curves",
    "survival_curves_frame": "curves",
    "stacked_incidence": "incidence",
    "svg": "document",
    "themed": "document",
}

__all__ = [*_HOME]
__getattr__, __dir__ = doors(__name__, _HOME)
