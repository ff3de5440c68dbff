"""Time to churn of first spells and of spells begun by a return, and what follows a return, by arm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from churnsurv.errors import ConvergenceError, InputError
from churnsurv.survival.cox import cox
from churnsurv.survival.curves import kaplan_meier
from churnsurv.survival.frames import counted

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data.log import ActivityLog
    from churnsurv.survival.cox_fit import CoxFit
    from churnsurv.survival.curves import SurvivalCurves

__all__ = ["FIRST", "LATER", "SpellsCompared", "compared_spells", "curves_by_arm"]

#: The groups of spells.
FIRST, LATER = "first spell", "begun by a return"


@dataclass(frozen=True, slots=True, eq=False)
class SpellsCompared:
    """First spells and later ones: curves, the hazard ratio, how many, and what a reader must know."""

    curves: SurvivalCurves | None
    cox: CoxFit | None
    n_first: int
    n_later: int
    notes: tuple[str, ...]


def compared_spells(log: ActivityLog, *, level: float) -> SpellsCompared:
    """Compare the time to churn of all first spells of the log with that of all spells that a return began.

    Days are grouped (complementary log-log): nobody can churn before the idle days are over, so that many churn on one
    day. Clustered by user.
    """
    import pandas as pd

    spells = log.churn_spells(spells="all").table[["user_id", "spell", "entry", "duration", "churned"]]
    later = spells["spell"].to_numpy() > 1
    n_first, n_later = int((~later).sum()), int(later.sum())
    if not len(spells):
        return SpellsCompared(None, None, 0, 0, ("The log has no spell to compare.",))
    table = spells.assign(spell=pd.Categorical(np.where(later, LATER, FIRST), categories=[FIRST, LATER]))
    curves = kaplan_meier(table, by="spell", entry="entry", cluster="user_id", level=level)
    notes = [
        f"{counted(n_first, 'first spell')} and {counted(n_later, 'spell')} begun by a return after formal churn, of "
        "all users of the log. Who comes back is not drawn by lot: later spells are of users who churned and returned, "
        "so that a difference describes them, and says nothing of what a return, a contact or a reward does."
    ]
    if not n_later or not n_first:
        missing = "begun by a return" if n_first else "first"
        return SpellsCompared(curves, None, n_first, n_later, (*notes, f"No spell is {missing}: nothing is compared."))
    try:
        fit = cox(
            "spell", table, reference={"spell": FIRST}, cluster="user_id", entry="entry", ties="grouped", level=level
        )
    except (ConvergenceError, InputError) as error:  # too few churns or days at risk; everything asked is ours
        return SpellsCompared(curves, None, n_first, n_later, (*notes, f"No hazard ratio: {error}"))
    return SpellsCompared(curves, fit, n_first, n_later, (*notes, _ratio(fit)))


def _ratio(fit: CoxFit) -> str:
    row = fit.table.iloc[0]
    p = "p < 0.001" if row["p_value"] < 0.001 else f"p = {row['p_value']:.3f}"
    faster = "as fast" if row["hr_lower"] <= 1 <= row["hr_upper"] else "faster" if row["hazard_ratio"] > 1 else "slower"
    same = "may churn as fast as" if faster == "as fast" else f"churn {faster} than"
    return (
        f"Spells begun by a return {same} first ones: hazard ratio {row['hazard_ratio']:.3g} ({row['hr_lower']:.3g} to "
        f"{row['hr_upper']:.3g}, {p}; clustered by user, one comparison), one number for all days of the spells."
    )


def curves_by_arm(rows: pd.DataFrame, *, duration: Any, event: Any, level: float) -> SurvivalCurves | None:
    """Kaplan and Meier's curves from the return on, by arm, and by campaign where there are several.

    Parameters
    ----------
    rows : DataFrame
        `user_id, campaign, arm`, one row a return.
    duration : (n,) int64
        Days from the return.
    event : (n,) bool
    level : float
    """
    if not len(rows):
        return None
    table = rows[["user_id", "campaign", "arm"]].assign(duration=duration, churned=event)
    by = "arm" if len(rows["campaign"].unique()) == 1 else ["campaign", "arm"]
    return kaplan_meier(table, by=by, cluster="user_id", level=level)
