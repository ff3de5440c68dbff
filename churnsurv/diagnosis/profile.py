"""Churned against retained users: over a common early window, with tests, or over the whole spell, as a description."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from churnsurv.data.negative_amounts import negative_amounts_note
from churnsurv.data.rule import days_of
from churnsurv.diagnosis.profile_compare import Groups, compared, described
from churnsurv.diagnosis.profile_cuts import chosen_cuts, chosen_variables
from churnsurv.diagnosis.profile_users import early_users, pooled_groups, spell_users
from churnsurv.diagnosis.profile_words import early_notes, percent, sentences_of, shared_notes, spell_notes
from churnsurv.diagnosis.table_one import table_one_rows
from churnsurv.errors import InputError
from churnsurv.survival.factors import group_columns
from churnsurv.survival.inputs import check_level, column_list
from churnsurv.survival.multiplicity import check_adjust, holds_together
from churnsurv.tables import Result, schema

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from churnsurv.data import ActivityLog, Feature
    from churnsurv.diagnosis.profile_cuts import Variable
    from churnsurv.diagnosis.profile_users import ProfileUsers

__all__ = ["ChurnProfile", "SpellProfile", "churn_profile"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ChurnProfile(Result):
    """Churned against retained users, cut by cut; made by `churn_profile`.

    Attributes
    ----------
    form : {"early", "spell"}
    window, horizon : int or None
        Days after registration: what was known at the end of day `window`, churn by day `horizon`. None over spells.
    variables : tuple of str
    by : tuple of str
        Columns that split the profile.
    groups : tuple of str
    adjust : str
        How p-values are adjusted for the number of variables and groups.
    limits : {"simultaneous", "each alone"}
        Whether the limits of all ratios hold together. Those of shares hold each alone.
    level : float
    counts : Mapping of str to int
        `users` of the log; `churned` and `retained` are compared; the others are left out: `immature` (registered less
        than `horizon` days before the end of the log), `churned_before` (not alive `idle_days` after the window),
        `life_not_observed` (registered before the log).
    notes : tuple of str
        What a reader must know.
    sentences : tuple of str
        The most striking cut of each variable in words.
    """

    form: str
    window: int | None
    horizon: int | None
    variables: tuple[str, ...]
    by: tuple[str, ...]
    groups: tuple[str, ...]
    adjust: str
    limits: str
    level: float
    counts: Mapping[str, int]
    notes: tuple[str, ...]
    sentences: tuple[str, ...]
    _rows: tuple[Mapping[str, Any], ...]
    _one: tuple[Mapping[str, Any], ...]
    _by_values: Mapping[str, tuple[Any, ...]]

    _schema: ClassVar[str] = "churn_profile"

    @property
    def table(self) -> pd.DataFrame:
        """One row for each group, variable and cut."""
        return self._framed(self._rows, self._schema)

    @property
    def table_one(self) -> pd.DataFrame:
        """Both groups of users side by side, with standardised differences; schema "table_one"."""
        return self._framed(self._one, "table_one")

    def _framed(self, rows: Sequence[Mapping[str, Any]], name: str) -> pd.DataFrame:
        import pandas as pd

        columns = schema(name).columns
        frame = pd.DataFrame(list(rows), columns=[column.name for column in columns])
        kinds = {"integer": "int64", "number": "float64", "boolean": "bool"}
        frame = frame.astype({column.name: kinds[column.kind] for column in columns if column.kind in kinds})
        for column, values in self._by_values.items():
            frame[column] = frame["group"].map(dict(zip(self.groups, values, strict=True)))
        return frame

    def plot(self, ax: Any = None) -> Any:
        """Draw the cumulative shares of both groups, one small figure a variable; see `churnsurv.plots.churn_profile`.

        Returns
        -------
        ndarray of Axes, or Axes where `ax` is one
        """
        from churnsurv.plots.profile import churn_profile as draw

        axes: Axes = draw(self.table, ax)
        return axes

    def _facts(self) -> dict[str, Any]:
        told = ("form", "window", "horizon", "variables", "by", "groups", "adjust", "limits", "level", "counts")
        facts = {name: getattr(self, name) for name in (*told, "notes", "sentences")}
        return facts | {"table_one": [dict(row) for row in self._one]}

    def _headline(self) -> str:
        counts = self.counts
        users = counts["churned"] + counts["retained"]
        found = [row for row in self._rows if row["suggested"]]
        told = ""
        if found:
            best = max(found, key=lambda row: abs(row["statistic"]))
            told = f"; {self.sentences[found.index(best)]}, risk ratio {best['risk_ratio']:.3g} at or below the cut ("
            told += f"{best['lower']:.3g} to {best['upper']:.3g})"
        share = percent(counts["churned"] / users)
        return f"{users:,} users followed from day {self.window} to day {self.horizon}, {share} churned{told}"


class SpellProfile(ChurnProfile):
    """Churned against living users at the end of their first spells: a description, without any test."""

    __slots__ = ()

    _schema: ClassVar[str] = "churn_profile_spell"

    def _headline(self) -> str:
        counts = self.counts
        told = f"; {self.sentences[0]}" if self.sentences else ""
        return f"descriptive, over spells: {counts['churned']:,} churned, {counts['retained']:,} still living{told}"


def churn_profile(
    log: ActivityLog,
    *,
    form: Literal["early", "spell"] = "early",
    window: int | str = 30,
    horizon: int | str = 180,
    variables: Sequence[str | Feature] | None = None,
    by: str | Sequence[str] | None = None,
    cuts: Mapping[str, float | Sequence[float]] | None = None,
    adjust: str = "holm",
    min_users: int = 30,
    level: float = 0.95,
) -> ChurnProfile:
    """Compare churned with retained users on what they did, cut by cut.

    Parameters
    ----------
    log : ActivityLog
    form : {"early", "spell"}
        early: all users have the same window of time. Compared are users alive `idle_days` after its end who
        registered `horizon` days or more before the end of the log, on what was known at the end of day `window`;
        churned are those who churn by day `horizon` of their first spell.
        spell: users whose first spell ended in churn against those who still live, on what they had done by the last
        active day of it. A longer spell leaves more time for everything, so this is a description: no p-values, no
        ratios.
    window, horizon : int or text such as "30d"
        Days after registration, for the early form; horizon > window + idle_days.
    variables : sequence of str or Feature, optional
        Names of built-in features, "login_interval" (mean days from one active day to the next), "balance", or own
        features. By default n_investments, max_amount, ever_boosted, boosted_share, login_interval and balance, as far
        as the tables can answer.
    by : str or sequence of str, optional
        Attributes of users, "cohort" or "stage" (as of day `window`, or of the end of the spell): one profile a group.
    cuts : mapping of variable to numbers, optional
        Users at or below a cut are compared with those above. By default 0, 1, 2, 3, 5, 10 ... of counts, 0 of a yes
        or no, else the deciles of all users, rounded; those that leave all users of a group on one side are left out.
    adjust : {"holm", "bonferroni", "hommel", "fdr_bh", "fdr_by", "none"}
        Adjustment of the p-values of the suggested cuts over variables and groups. With the first three the limits of
        ratios and differences are simultaneous over all cuts of all variables and groups, else each holds alone.
    min_users : int
        Smaller groups of `by` are pooled as "other".
    level : float

    Returns
    -------
    ChurnProfile
        With `.table_one`, `.sentences`, `.notes`; a `SpellProfile` where form is "spell".

    Raises
    ------
    FollowUpError
        If nobody is followed to the horizon.
    InputError
        If nobody churned or nobody stayed, or an argument is not understood.

    Notes
    -----
    Tests condition on the margins and allow for the search over the cuts of a variable: `search_p_value` is the chance
    of an absolute z as large at any of its cuts (see `churnsurv.numerics.two_groups`). Cuts with fewer than 5 users
    expected in a cell are shown without comparison. Ratios have Miettinen and Nurminen's score limits, at the quantile
    of the largest absolute z by their joint normal law. Users without a value of a variable are left out of it and
    counted in table one.

    Examples
    --------
    >>> import churnsurv as ch
    >>> profile = churn_profile(ch.simulate_app(400).log, variables=["n_investments"], cuts={"n_investments": [2]})
    >>> profile.counts["churned"] + profile.counts["retained"] + profile.counts["churned_before"] <= 400
    True
    >>> profile.table.columns[:4].tolist()
    ['group', 'variable', 'cut', 'n_churned']
    """
    level, adjust = check_level(level), check_adjust(adjust)
    by = column_list("by", by)
    if form not in ("early", "spell"):
        raise InputError(f"form is 'early' or 'spell'; it is {form!r}.")
    if isinstance(min_users, bool) or not isinstance(min_users, int) or min_users < 1:
        raise InputError(f"min_users must be a whole number of at least 1; it is {min_users!r}.")
    asked = chosen_variables(log, variables)
    together = holds_together(adjust)
    first = last = None
    made: type[ChurnProfile] = SpellProfile
    if form == "spell":
        users = spell_users(log, asked, by)
    else:
        made = ChurnProfile
        first, last = _days(log, window, horizon)
        users = early_users(log, asked, by, window=first, horizon=last)
    _require_both(users, last)
    groups = Groups(*pooled_groups(users.attributes, by, len(users.churned), min_users))
    for schema_name in (made._schema, "table_one"):
        group_columns(groups.columns, schema_name)
    found = chosen_cuts(asked, users.numbers, cuts)
    if first is None or last is None:
        rows, notes = described(groups, users, asked, found, given=cuts or {}, level=level), spell_notes(users.counts)
    else:
        rows = compared(groups, users, asked, found, given=cuts or {}, adjust=adjust, together=together, level=level)
        notes = early_notes(users.counts, log.rule.idle_days, first, last)
    return made(
        form=form,
        window=first,
        horizon=last,
        variables=tuple(each.name for each in asked),
        by=tuple(by),
        groups=groups.labels,
        adjust=adjust,
        limits="simultaneous" if together else "each alone",
        level=level,
        counts=MappingProxyType(dict(users.counts)),
        notes=(*notes, *_of_amounts(log, asked), *shared_notes(groups, users, asked, rows)),
        sentences=sentences_of(rows, asked, level),
        _rows=tuple(rows),
        _one=tuple(_table_one(groups, users, asked, level=level, limits=form == "early")),
        _by_values={column: tuple(groups.columns[column]) for column in by},
    )


def _days(log: ActivityLog, window: int | str, horizon: int | str) -> tuple[int, int]:
    first, last = days_of(window, "window", least=1), days_of(horizon, "horizon", least=1)
    alive = first + log.rule.idle_days
    if last <= alive:
        raise InputError(
            f"horizon must be later than day {alive}, the end of the window ({first}) and {log.rule.idle_days} idle "
            f"days: users are compared from then on. It is {last}."
        )
    return first, last


def _require_both(users: ProfileUsers, horizon: int | None) -> None:
    n, churned = len(users.churned), int(users.churned.sum())
    if 0 < churned < n:
        return
    when = "" if horizon is None else f" by day {horizon}"
    who = "nobody is left to compare" if n == 0 else f"{'nobody' if churned == 0 else 'everybody'} churned{when}"
    raise InputError(f"{who}: there are no two groups. Take another window or horizon, or a longer log.")


def _of_amounts(log: ActivityLog, variables: Sequence[Variable]) -> tuple[str, ...]:
    """What to know of amounts below 0, where a variable is made of amounts."""
    made_of = {"max_amount", "total_amount", *(() if "balances" in log._reading.sources else ("balance",))}
    said = negative_amounts_note(log) if made_of & {each.name for each in variables} else None
    return () if said is None else (said,)


def _table_one(
    groups: Groups, users: ProfileUsers, variables: Sequence[Variable], *, level: float, limits: bool
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for code, label in enumerate(groups.labels):
        mine = groups.codes == code
        values = {name: x[mine] for name, x in users.numbers.items()}
        rows += table_one_rows(label, variables, values, users.churned[mine], level=level, limits=limits)
    return rows
