"""What a campaign did to those whom it reached: the arm that was drawn as an instrument for the contact.

The formulas are those of `churnsurv.numerics.complier`. An arm that acts on users in another way than through the
contact, or whose contact reaches some of them less, breaks them. Delivery mostly meets both, opening does not: a
message that is never opened can still be seen, and then acts without being counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from churnsurv.errors import InputError
from churnsurv.notes import note
from churnsurv.numerics.arm_influence import CellCurves, cell_curves
from churnsurv.numerics.complier import complier_effect_of
from churnsurv.recall.lift_arms import CampaignArms, unit_influence

if TYPE_CHECKING:
    from churnsurv.data.assigned import CampaignRows

__all__ = ["EXPOSURES", "OUTCOMES", "complier_rows"]

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]

EXPOSURES = ("delivered", "opened")
#: Effects on those reached, with the factor of their unit.
OUTCOMES: dict[str, tuple[float, str]] = {
    "return_probability": (1000.0, "per 1,000 users reached"),
    "days_to_return": (1.0, "days"),
}
_REACHED, _AS_TREATED = "reached because of the arm", "as treated"


def complier_rows(
    rows: CampaignRows, found: CampaignArms, *, campaign: str, exposure: str, level: float
) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Rows of schema "lift_compliers", and what a reader must know.

    Parameters
    ----------
    rows : CampaignRows
        Of one campaign.
    found : CampaignArms
        What `lift_arms.campaign_arms` has found in them.
    campaign : str
    exposure : {"delivered", "opened"}
    level : float

    Raises
    ------
    InputError
        If the exposure is unknown, or nothing is known of it.
    """
    if exposure not in EXPOSURES:
        raise InputError(f"exposure is 'delivered' or 'opened'; it is {exposure!r}.")
    column = f"{exposure}_at"
    if column not in rows.given:
        raise InputError(f"exposure={exposure!r} needs {column} in the assignments, and there is none.")
    day = getattr(rows, exposure)
    reached = (day > 0) & (day <= np.minimum(rows.followed, rows.horizon))
    # users who are not yet followed to the horizon may still be reached: the share is that of a curve, like returns
    ends = np.where(reached, day, np.minimum(rows.followed, rows.horizon))
    curves = cell_curves(found.cells, ends, reached, horizon=rows.horizon)
    shares = found.cells.mean(curves.returned)
    told: list[dict[str, Any]] = []
    for arm in range(1, len(found.arms)):
        moved = _moves(found, curves, arm)
        for outcome in OUTCOMES:
            named = {"campaign": campaign, "arm": found.arms[arm], "outcome": outcome, "unit": OUTCOMES[outcome][1]}
            named |= {"exposure": exposure, "share_arm": shares[arm], "share_control": shares[0]}
            told.append(named | _instrumented(found, outcome, arm, moved, shares, level))
        told.append(_as_treated(rows, found, reached, arm, {"campaign": campaign, "exposure": exposure}, shares, level))
    return told, _notes(exposure, shares, found)


def _moves(found: CampaignArms, curves: CellCurves, arm: int) -> dict[str, Floats]:
    """What each user, or cluster, moves the differences by: of the share reached, and of each outcome."""
    cells = found.cells
    sign = np.zeros(cells.n_arms)
    sign[arm], sign[0] = 1.0, -1.0
    table = cells.weight()[:, None, None] * curves.influence_on_return()
    reached = sign[cells.arm] * table.ravel()[curves.pattern]
    if cells.n_strata > 1:
        by_cell = curves.returned.reshape(cells.n_arms, cells.n_strata)
        apart = sign @ (by_cell - cells.mean(curves.returned)[:, None]) / cells.n_users
        reached = reached + apart[cells.stratum]
    if found.codes is not None:
        reached = np.bincount(np.unique(found.codes, return_inverse=True)[1].reshape(-1), reached)
    moved = {"reached": np.asarray(reached, dtype=np.float64)}
    for outcome in OUTCOMES:
        moved[outcome] = unit_influence(found, found.plain, found.contrast(outcome, arm))[0]
    return moved


def _instrumented(
    found: CampaignArms, outcome: str, arm: int, moved: dict[str, Floats], shares: Floats, level: float
) -> dict[str, Any]:
    column = found.columns[outcome]
    y = float(found.plain.estimate[arm, column] - found.plain.estimate[0, column])
    factor = OUTCOMES[outcome][0]
    of_y, of_d = moved[outcome], moved["reached"]
    effect = complier_effect_of(
        y,
        float(shares[arm] - shares[0]),
        variance_y=float(of_y @ of_y),
        variance_d=float(of_d @ of_d),
        covariance=float(of_y @ of_d),
        critical=float(ndtri((1 + level) / 2)),
    )
    error = float(np.sqrt(of_y @ of_y))
    return {
        "kind": _REACHED,
        "estimate": factor * effect.estimate,
        "lower": factor * effect.lower,
        "upper": factor * effect.upper,
        "std_error": factor * effect.std_error,
        # no effect on those reached is no effect of the arm
        "p_value": float(2 * ndtr(-abs(y) / error)) if error > 0 else float("nan"),
    }


def _as_treated(
    rows: CampaignRows,
    found: CampaignArms,
    reached: Flags,
    arm: int,
    named: dict[str, Any],
    shares: Floats,
    level: float,
) -> dict[str, Any]:
    """Those reached less those not reached, in the arm: for the warning alone."""
    from statsmodels.stats.proportion import confint_proportions_2indep

    there = found.cells.arm == arm
    counts = [(int((rows.returned & there & kind).sum()), int((there & kind).sum())) for kind in (reached, ~reached)]
    (a, n), (b, m) = counts
    both = n > 0 and m > 0
    lower, upper = (np.nan, np.nan)
    if both and 0 < a + b < n + m:
        lower, upper = confint_proportions_2indep(a, n, b, m, method="newcomb", compare="diff", alpha=1 - level)
    return named | {
        "arm": found.arms[arm],
        "outcome": "return_probability",
        "unit": OUTCOMES["return_probability"][1],
        "share_arm": shares[arm],
        "share_control": shares[0],
        "kind": _AS_TREATED,
        "estimate": 1000.0 * (a / n - b / m) if both else np.nan,
        "lower": 1000.0 * lower,
        "upper": 1000.0 * upper,
        "std_error": np.nan,
        "p_value": np.nan,
    }


def _notes(exposure: str, shares: Floats, found: CampaignArms) -> tuple[str, ...]:
    notes: list[str] = [
        note(
            "The effect on those reached because of the arm holds if the arm acts through the contact alone, and "
            "reaches nobody less than the control does. No effect on others is told by it."
        ),
        note(
            'Rows "as treated" compare those reached with those not reached in the same arm: they differ in much else '
            "(who can be reached uses the app more), so that this is no effect of the contact."
        ),
    ]
    if exposure == "opened":
        notes.append(
            note(
                "Opening is taken as the contact: a message that is seen and not opened still acts, and all that it "
                "does is put down to those who opened. Take this effect as an upper end, and the one on those "
                "delivered to as the answer."
            )
        )
    for place, name in enumerate(found.arms[1:], start=1):
        if shares[place] <= shares[0]:
            notes.append(
                note(
                    "{arm}: no more users were reached than in the control ({share} and {control}), so that nothing "
                    "can be told of those reached.",
                    arm=name,
                    share=f"{shares[place]:.1%}",
                    control=f"{shares[0]:.1%}",
                )
            )
    return tuple(notes)
