"""A simulated investment app with known truth: channels, campaigns, reasons, and the exact law of every gap."""

from churnsurv.simulation.app import SimulatedApp, simulate_app
from churnsurv.simulation.model import CAMPAIGNS, PROBLEMS, Arm, Campaign, Problem, Shock
from churnsurv.simulation.truth import SimulatedTruth

__all__ = [
    "CAMPAIGNS",
    "PROBLEMS",
    "Arm",
    "Campaign",
    "Problem",
    "Shock",
    "SimulatedApp",
    "SimulatedTruth",
    "simulate_app",
]
