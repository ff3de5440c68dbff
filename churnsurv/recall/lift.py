"""What a randomised campaign brought: returns, days, money and staying, arm against control, censoring handled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.assigned import CampaignRows, campaign_rows
from churnsurv.errors import InputError, did_you_mean
from churnsurv.recall.lift_arms import CampaignArms, campaign_arms
from churnsurv.recall.lift_checks import balance, checks
from churnsurv.recall.lift_request import (
    DEFAULT_COVARIATES,
    Asked,
    check_control,
    check_shares,
    groups_asked,
    own_covariates,
    prepared,
)
from churnsurv.recall.lift_tables import curve_tables, gain_table, lift_table
from churnsurv.recall.lift_words import headline, heterogeneity_words, notes_of, warnings_of
from churnsurv.tables import Result, schema

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from churnsurv.data import ActivityLog

__all__ = ["ALL_CAMPAIGNS", "Lift", "campaign_lift", "lift_of_rows"]

Floats: TypeAlias = NDArray[np.float64]

#: The row of the table that has all campaigns together.
ALL_CAMPAIGNS = "(all)"
_AMOUNTS_BEFORE = ("pre_invested", "pre_balance")
_SAME = 1e-9  # propensities this near are one


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Lift(Result):
    """What each arm brought against the control; made by `campaign_lift`.

    Attributes
    ----------
    design : {"randomised", "observational"}
    horizon : int
        Last day that counts; the day of assignment is day 1.
    control : str
    arms : tuple of str
        Those compared with the control.
    campaigns : tuple of str
    outcomes : tuple of str
    covariates : tuple of str
        Adjusted for in the rows with `adjusted`.
    adjust : str
        For several arms.
    level : float
    n_users, n_returned : int
        Assignments, of which a user has one in each campaign, and those with a return within the horizon.
    notes : tuple of str
        What a reader must know.
    """

    _schema: ClassVar[str] = "lift"

    design: str
    horizon: int
    control: str
    arms: tuple[str, ...]
    campaigns: tuple[str, ...]
    outcomes: tuple[str, ...]
    covariates: tuple[str, ...]
    adjust: str
    level: float
    n_users: int
    n_returned: int
    notes: tuple[str, ...]
    _tables: Mapping[str, pd.DataFrame]

    @property
    def table(self) -> pd.DataFrame:
        """One row for each campaign, outcome and arm, without and with covariates; schema "lift"."""
        return self._made("lift")

    @property
    def curves(self) -> pd.DataFrame:
        """Share returned by day and arm; schema "return_curves"."""
        return self._made("return_curves")

    @property
    def over_time(self) -> pd.DataFrame:
        """Difference of these shares by day, with a band that holds on all days; schema "lift_over_time"."""
        return self._made("lift_over_time")

    @property
    def subgroups(self) -> pd.DataFrame:
        """The lift by group of `by`; schema "lift_subgroups". Empty without `by`."""
        return self._made("lift_subgroups")

    @property
    def gain(self) -> pd.DataFrame:
        """What adjusting for covariates gained; schema "lift_gain"."""
        return self._made("lift_gain")

    @property
    def compliers(self) -> pd.DataFrame:
        """The effect on those whom the contact reached; schema "lift_compliers". Empty without `exposure`."""
        return self._made("lift_compliers")

    @property
    def checks(self) -> pd.DataFrame:
        """Whether the campaign can be read as an experiment; schema "lift_checks"."""
        return self._made("lift_checks")

    @property
    def balance(self) -> pd.DataFrame:
        """How far the arms differed before; schema "lift_balance"."""
        return self._made("lift_balance")

    @property
    def overlap(self) -> pd.DataFrame:
        """How alike the arms are in their chances of contact; schema "lift_overlap". Observational designs only."""
        return self._made("lift_overlap")

    @property
    def e_values(self) -> pd.DataFrame:
        """How strong hidden confounding would have to be; schema "lift_e_values". Observational designs only."""
        return self._made("lift_e_values")

    @property
    def problems(self) -> pd.DataFrame:
        """Every row of assignments or rewards that is left out, with its reason; schema "assignment_problems"."""
        return self._made("assignment_problems")

    def _made(self, name: str) -> pd.DataFrame:
        """A fresh copy of a table; empty where it was not asked for."""
        import pandas as pd

        found = self._tables.get(name)
        return pd.DataFrame(columns=list(schema(name).names)) if found is None else found.copy()

    def plot(
        self,
        ax: Axes | None = None,
        *,
        kind: str = "return",
        campaign: str | None = None,
        outcome: str = "return_probability",
    ) -> Axes:
        """Draw who returned by day, how many more than in the control, or one outcome as a forest.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; see `churnsurv.plots`.
        kind : {"return", "over_time", "forest", "subgroups"}
        campaign : str, optional
            Which of several; a forest may have all.
        outcome : str
            Of a forest.

        Raises
        ------
        InputError
            If there is no such kind, campaign or outcome, or several campaigns and none is named.
        """
        from churnsurv import plots

        found = {
            "return": "return_curves",
            "over_time": "lift_over_time",
            "forest": "lift",
            "subgroups": "lift_subgroups",
        }
        if kind not in found:
            options = ", ".join(map(repr, found))
            raise InputError(f"kind must be one of {options}, not {kind!r}.{did_you_mean(str(kind), found)}")
        table = self._made(found[kind])
        if kind in ("return", "over_time"):
            curves = plots.return_curves if kind == "return" else plots.lift_over_time
            drawn: Axes = curves(table, ax, campaign=campaign, control=self.control, level=self.level)
            return drawn
        names = table["campaign"].unique().tolist()
        if campaign is not None and campaign not in names:
            raise InputError(f"there is no campaign {campaign!r}.{did_you_mean(campaign, names)} Campaigns: {names}.")
        mine = table if campaign is None else table[table["campaign"] == campaign]
        overall = self.table if kind == "subgroups" else None
        forest: Axes = plots.lift_forest(
            mine, ax, outcome=outcome, overall=overall, control=self.control, level=self.level
        )
        return forest

    def _headline(self) -> str:
        return headline(self)

    def _facts(self) -> dict[str, Any]:
        names = ("design", "horizon", "control", "arms", "campaigns", "outcomes", "covariates", "adjust", "level")
        return {name: getattr(self, name) for name in (*names, "n_users", "n_returned", "notes")}


def campaign_lift(
    assignments: Any,
    log: ActivityLog,
    *,
    horizon: int | str = 30,
    control: str = "holdout",
    design: Literal["randomised", "observational"] = "randomised",
    campaign: str | None = None,
    outcomes: Sequence[str] | None = None,
    exposure: str | None = None,
    covariates: Sequence[str] | None = None,
    strata: str | Sequence[str] | None = None,
    cluster: str | None = "auto",
    by: str | Sequence[str] | None = None,
    adjust: str = "holm",
    rewards: Any = None,
    margin: float = 1.0,
    shares: Mapping[str, float] | None = None,
    columns: Mapping[str, Mapping[str, str]] | None = None,
    exclude_conflicts: bool = False,
    level: float = 0.95,
    seed: int = 0,
) -> Lift:
    """Estimate what each arm of a campaign brought, of all who were assigned to it (intention to treat).

    Parameters
    ----------
    assignments : table
        `user_id, campaign, arm, assigned_at`, and perhaps `delivered_at, opened_at, cost, stratum, propensity, cluster`
        and covariates. One row for each user of a campaign, the control's too.
    log : ActivityLog
        Its rule says what a return is: the first day with an activity, the day of assignment being day 1.
    horizon : int or text such as "30d"
        The endpoint. Users not yet followed to it are censored, not failures. Return is not the end: what a user does
        after it counts up to the horizon.
    control : str
        Name of the arm that the others are compared with.
    design : {"randomised", "observational"}
        Whether users were drawn into arms. If not, say so: estimates are then weighted, and labelled.
    campaign : str, optional
        Only this one. Otherwise each of them, and "(all)" together, its campaigns as strata, where all have the same
        arms.
    outcomes : sequence of str, optional
        Of "return_probability", "risk_ratio", "users_per_return", "days_to_return", "hazard_ratio", "active_days",
        "reinvested" (invested less redeemed), "net_value" (margin times it, less rewards and the cost of contacts) and
        "days_live"; all that can be told by default. "days_live" needs a horizon of twice the idle days of the rule.
    exposure : {"delivered", "opened"}, optional
        Also estimate the effect on those whom the contact reached: `.compliers`.
    covariates : sequence of str, optional
        Known before the assignment: columns of the assignments or users, or ``pre_active_days, pre_invested,
        pre_balance, pre_idle_days, tenure``, which are the default. ``()`` for none.
    strata : str or sequence of str, optional
        Columns of the assignments within which arms are compared; `stratum` by default, where there is one.
    cluster : str or None
        Column of the assignments whose users depend on each other. "auto": `cluster` where there is one, else the user.
        None: every row is independent.
    by : str or sequence of str, optional
        Columns of the assignments or users: the lift in each of their groups, in `.subgroups`.
    adjust : {"holm", "dunnett", "bonferroni", "hommel", "fdr_bh", "fdr_by", "none"}
        Of p-values for several arms. With the first four, limits hold for all arms together (Bonferroni's, but for
        "dunnett", whose are those of the joint normal law).
    rewards : table, optional
        `user_id, campaign, amount`, and perhaps `promised_until, released_at`.
    margin : float
        What a unit of re-invested money is worth.
    shares : mapping of arm to share, optional
        Planned shares, for the check of the sample ratio.
    columns : mapping, optional
        ``{"assignments": {"assigned_at": "sent"}}`` maps our names to theirs.
    exclude_conflicts : bool
        Leave users in two arms of a campaign out, instead of refusing the table.
    level : float
    seed : int
        Of resamples for limits of amounts.

    Returns
    -------
    Lift
        `.table`, `.curves`, `.over_time`, `.subgroups`, `.gain`, `.checks`, `.balance`, `.compliers`, `.problems`,
        `.notes`.

    Raises
    ------
    InputError
        If an argument or the table cannot be used: see `churnsurv.data.assigned.campaign_rows`.
    FollowUpError
        If nobody of an arm was followed to the horizon.

    Examples
    --------
    >>> import churnsurv as ch
    >>> app = ch.simulate_app(1000, seed=1)
    >>> lift = campaign_lift(app.campaigns, app.log, control="none", campaign="recall", outcomes=["return_probability"])
    >>> lift.arms, lift.table["outcome"].unique().tolist()
    (('push', 'push_then_sms', 'sms', 'voucher'), ['return_probability'])
    """
    asked = Asked.of(outcomes, level=level, adjust=adjust, seed=seed, margin=margin, design=design, exposure=exposure)
    check_control(control)
    check_shares(shares)
    by = groups_asked(by)
    if design == "observational":
        _refuse_of_lots(exposure=exposure, by=by, shares=shares)
    table, mapping = prepared(assignments, columns, strata, cluster)
    read = {
        "horizon": horizon,
        "rewards": rewards,
        "campaign": campaign,
        "exclude_conflicts": exclude_conflicts,
    }
    rows = campaign_rows(log, table, columns=mapping, covariates=own_covariates(covariates), **read)
    clustered = cluster is not None
    if design == "observational":
        return _observational(rows, asked, control, covariates, clustered=clustered)
    found = lift_of_rows(
        rows, asked, control=control, covariates=covariates, clustered=clustered, shares=shares, exposure=exposure
    )
    if by:
        from churnsurv.recall.lift_subgroups import subgroups

        groups = subgroups(log, table, mapping, read, by, asked, found, clustered=clustered)
        tables = MappingProxyType({**found._tables, "lift_subgroups": groups})
        found = replace(found, _tables=tables, notes=(*found.notes, heterogeneity_words(groups)))
    return found


def _refuse_of_lots(*, exposure: str | None, by: Sequence[str], shares: Mapping[str, float] | None) -> None:
    """What only arms that were drawn can be asked for."""
    reasons = {
        "exposure": ("needs arms that were drawn", exposure is not None),
        "by": ("compares arms without covariates, which only arms that were drawn allow", bool(by)),
        "shares": ("are those that arms were drawn with", shares is not None),
    }
    for name, (reason, given) in reasons.items():
        if given:
            raise InputError(f"{name} {reason}: leave it out with design='observational'.")


def _observational(
    rows: CampaignRows, asked: Asked, control: str, covariates: Sequence[str] | None, *, clustered: bool
) -> Lift:
    from churnsurv.recall.observational import observational_lift

    outcomes = asked.settings(rows, drawn=False).outcomes
    rows, names = _on_scale(rows, covariates)
    return observational_lift(
        rows, control=control, sums=asked.sums(outcomes), outcomes=outcomes, covariates=names, adjust=asked.adjust,
        level=asked.level, clustered=clustered,
    )  # fmt: skip


def lift_of_rows(
    rows: CampaignRows,
    asked: Asked,
    *,
    control: str,
    covariates: Sequence[str] | None = None,
    clustered: bool = True,
    shares: Mapping[str, float] | None = None,
    exposure: str | None = None,
) -> Lift:
    """Estimate the lift of rows that are read already; `campaign_lift` says what the arguments mean."""
    import pandas as pd

    _refuse_uneven(rows)
    settings = asked.settings(rows)
    found_wrong = checks(rows, control=control, shares=shares)
    tables = {"lift_checks": found_wrong, "lift_balance": balance(rows, control=control)}
    rows, names = _on_scale(rows, covariates)
    parts: list[dict[str, pd.DataFrame]] = []
    laws: dict[str, None] = {}
    more: list[str] = []
    reached: list[dict[str, Any]] = []
    made: list[CampaignArms] = []
    for name, mine in _campaigns(rows):
        found = campaign_arms(
            mine, control=control, sums=asked.sums(settings.outcomes), covariates=names, clustered=clustered, name=name
        )
        table, how = lift_table(found, name, settings)
        curves, over_time = curve_tables(found, name, settings)
        gain = gain_table(found, name, settings)
        parts.append({"lift": table, "return_curves": curves, "lift_over_time": over_time, "lift_gain": gain})
        if exposure is not None:
            from churnsurv.recall.complier import complier_rows

            told, words = complier_rows(mine, found, campaign=name, exposure=exposure, level=settings.level)
            reached, more = [*reached, *told], [*more, *words]
        laws |= dict.fromkeys(how)
        more += found.notes
        made.append(found)
    tables |= {name: _stacked([part[name] for part in parts]) for name in parts[0]}
    if exposure is not None:
        tables["lift_compliers"] = pd.DataFrame.from_records(reached, columns=list(schema("lift_compliers").names))
    used = tuple(dict.fromkeys(each for found in made for each in found.covariates if found.adjusted is not None))
    arms = tuple(name for name in rows.arms if name != control)
    return Lift(
        design="randomised",
        horizon=rows.horizon,
        control=control,
        arms=arms,
        campaigns=rows.campaigns,
        outcomes=settings.outcomes,
        covariates=used,
        adjust=settings.adjust,
        level=settings.level,
        n_users=rows.n,
        n_returned=int(rows.returned.sum()),
        notes=(
            *warnings_of(found_wrong),
            *notes_of(rows, settings, n_arms=len(arms), covariates=used, laws=laws, more=more),
        ),
        _tables=MappingProxyType({**tables, "assignment_problems": rows.problems}),
    )


def _stacked(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One table of those that have rows."""
    import pandas as pd

    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


def _campaigns(rows: CampaignRows) -> Iterator[tuple[str, CampaignRows]]:
    """Each campaign, and all of them where they have the same arms."""
    for name in rows.campaigns:
        yield name, rows.only(name)
    if len(rows.campaigns) > 1:
        pairs = np.unique(rows.campaign * len(rows.arms) + rows.arm)
        if pairs.size == len(rows.campaigns) * len(rows.arms):
            yield ALL_CAMPAIGNS, rows


def _refuse_uneven(rows: CampaignRows) -> None:
    """Within a stratum users of an arm must have had the same chance of it."""
    if rows.propensity is None:
        return
    cell = rows.arm * len(rows.strata) + rows.stratum
    n = len(rows.arms) * len(rows.strata)
    low, high = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(low, cell, rows.propensity)
    np.maximum.at(high, cell, rows.propensity)
    uneven = np.flatnonzero(high - low > _SAME)
    if uneven.size:
        arm, stratum = divmod(int(uneven[0]), len(rows.strata))
        raise InputError(
            f"propensity: within stratum {rows.strata[stratum]!r} the chance of arm {rows.arms[arm]!r} runs from "
            f"{low[uneven[0]]:.4g} to {high[uneven[0]]:.4g}, so that the arms cannot be compared as they stand. Name "
            "what it depends on with strata= (in each of them it is one number), or use design='observational'."
        )


def _on_scale(rows: CampaignRows, covariates: Sequence[str] | None) -> tuple[CampaignRows, tuple[str, ...]]:
    """Covariates to adjust for; amounts of before on the log scale, on which they differ by factors."""
    names: list[str] = []
    for name in DEFAULT_COVARIATES if covariates is None else covariates:
        names += [each for each in rows.pre if each == name or each.startswith(f"{name}: ")]
    pre = dict(rows.pre)
    for name in _AMOUNTS_BEFORE:
        if name in names:
            pre[name] = np.sign(pre[name]) * np.log1p(np.abs(pre[name]))
    return replace(rows, pre=MappingProxyType(pre)), tuple(names)
