"""How much of a colour stands for a tier or a probability: text on it stays legible, also in black and white."""

from __future__ import annotations

__all__ = ["churn_shade", "tier_shade"]


def churn_shade(churned: float) -> float:
    """How much of the colour stands for a probability of churn.

    Examples
    --------
    >>> churn_shade(0.0), round(churn_shade(1.0), 2)
    (0.05, 0.62)
    """
    return 0.05 + 0.57 * churned


def tier_shade(tier: int, n_tiers: int) -> float:
    """Dark for the highest tier, the place 0, and each step to be told apart.

    Examples
    --------
    >>> [round(tier_shade(place, 3), 2) for place in range(3)]
    [0.78, 0.46, 0.14]
    """
    return 0.78 if n_tiers == 1 else 0.78 - 0.64 * tier / (n_tiers - 1)
