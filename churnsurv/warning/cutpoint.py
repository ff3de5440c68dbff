"""At which value of a variable the hazard changes most, with a p-value that knows that this value was searched for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, did_you_mean
from churnsurv.survival.cox_notes import crowded_days
from churnsurv.survival.frames import counted, numeric_column
from churnsurv.survival.inputs import SurvivalData, check_level, column_list, survival_data
from churnsurv.survival.multiplicity import adjusted, check_adjust
from churnsurv.survival.own_tables import outcome_columns
from churnsurv.survival.training import rows_at_risk
from churnsurv.tables import Result, schema
from churnsurv.warning.cut_search import FoundCut, Outcome, Search, permutation_p_values, search
from churnsurv.warning.known_days import check_at_risk_since, known_days, refuse_outcome_variables

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["Cutpoint", "cutpoint"]

Floats: TypeAlias = NDArray[np.float64]

_P_VALUES = ("asymptotic", "permutation")
_STANDARDISE = ("log-rank", "permutation")
_MAX_T = "max-t"
_FEW_EVENTS = 50


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Cutpoint(Result):
    """The best cut of one or several variables; made by `cutpoint`.

    Attributes
    ----------
    variables : tuple of str
    event : str
        The column of events: "churned", or "returned" of gaps.
    standardise : {"log-rank", "permutation"}
        Which variance the statistics are divided by.
    p_values : {"asymptotic", "permutation"}
        How they were corrected for the search.
    adjust : str
        Correction for several variables.
    min_share, level : float
    n_permutations, bootstrap, seed : int
    cluster : str or None
        Column whose rows may depend on each other.
    critical : Mapping of str to float
        Absolute z that the largest of a variable's cuts exceeds with probability 1 - level if nothing differs.
    n_users, n_events, n_no_risk : int
        Users at risk, events among them, and rows never at risk.
    notes : tuple of str
        What a reader must know.
    """

    _schema: ClassVar[str] = "cutpoint"

    variables: tuple[str, ...]
    event: str
    standardise: str
    p_values: str
    adjust: str
    min_share: float
    level: float
    n_permutations: int
    bootstrap: int
    seed: int
    cluster: str | None
    critical: Mapping[str, float]
    n_users: int
    n_events: int
    n_no_risk: int
    notes: tuple[str, ...]
    _table: pd.DataFrame
    _scan: pd.DataFrame
    _said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> pd.DataFrame:
        """One row a variable; schema "cutpoint"."""
        return self._table.copy()

    @property
    def scan(self) -> pd.DataFrame:
        """Every cut that was looked at, with its z; schema "cutpoint_scan"."""
        return self._scan.copy()

    def plot(self, ax: Axes | None = None, *, variable: str | None = None) -> Axes:
        """Draw z over the cuts of a variable, by default of the one with the smallest p-value.

        Parameters
        ----------
        ax : Axes, optional
        variable : str, optional
        """
        from churnsurv.plots import cutpoint as draw

        name = self._strongest() if variable is None else variable
        if name not in self.variables:
            raise InputError(f"there is no cut of {name!r}.{did_you_mean(str(name), self.variables)}")
        mine, cuts = self._table["variable"] == name, self._scan["variable"] == name
        axes: Axes = draw(
            self._scan[cuts], ax, chosen=self._table[mine], critical=self.critical[name], level=self.level
        )
        return axes

    def _strongest(self) -> str:
        order = np.lexsort((-self._table["statistic"].abs(), self._table["adjusted_p_value"]))
        return str(self._table["variable"].iloc[int(order[0])])

    def _headline(self) -> str:
        row = self._table.set_index("variable").loc[self._strongest()]
        p = row["adjusted_p_value"]
        cuts = counted(int(self._table.loc[self._table["variable"] == self._strongest(), "n_cuts"].iloc[0]), "cut")
        said = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
        among = f" and {len(self.variables)} variables" if len(self.variables) > 1 else ""
        found = f"{self._strongest()} > {row['cut']:.6g}"
        if p >= 1 - self.level:
            return f"no cut stands out: {said} after the search of {cuts}{among}; the largest difference is at {found}"
        ratio = ""
        if not np.isnan(row["hr_lower"]):
            ratio = f", hazard ratio {row['hazard_ratio']:.2f} ({row['hr_lower']:.2f} to {row['hr_upper']:.2f})"
        return (
            f"{found} against the rest: z = {row['statistic']:.2f}, {said} after the search of "
            f"{cuts}{among}{ratio}; cuts from {row['range_lower']:.6g} to "
            f"{row['range_upper']:.6g} are as good"
        )

    def _facts(self) -> dict[str, Any]:
        names = (
            "event", "standardise", "p_values", "adjust", "min_share", "level", "n_permutations", "bootstrap", "seed",
            "cluster", "n_users", "n_events", "n_no_risk", "notes",
        )  # fmt: skip
        return {**{name: getattr(self, name) for name in names}, "critical": dict(self.critical), **self._said}


def cutpoint(
    data: Any,
    variable: str | Sequence[str],
    *,
    min_share: float = 0.1,
    p_value: Literal["asymptotic", "permutation"] = "asymptotic",
    standardise: Literal["log-rank", "permutation"] | None = None,
    n_permutations: int = 2000,
    adjust: str = "holm",
    bootstrap: int = 200,
    known_at: str | Mapping[str, str] | None = None,
    cluster: str | None = "auto",
    weights: str | None = None,
    weights_kind: str | None = None,
    duration: str = "duration",
    event: str = "churned",
    entry: str | None = None,
    seed: int = 0,
    level: float = 0.95,
) -> Cutpoint:
    """Search the cut of a variable that separates hazards best, and correct the p-value for the search.

    Parameters
    ----------
    data : Spells, History, Gaps, or any table
    variable : str or sequence of str
        Columns of numbers, or of true and false. Rows without a value are left out and counted.
    min_share : float
        Cuts have at least this share of the users on either side; 0 <= min_share < 0.5.
    p_value : {"asymptotic", "permutation"}
        The chance of an absolute z as large at any cut if nothing differs. "asymptotic": of a Markov chain of normal
        deviates with the correlations of the risk sets, from cut to cut; the skewness of few events is taken out
        before. "permutation": by moving the users' outcomes around; valid where neither censoring nor entry has to do
        with the variable.
    standardise : {"log-rank", "permutation"}, optional
        The variance that z is divided by: that of the log-rank test at each cut (default), or that over permutations,
        as R's ``maxstat`` does (default with p_value="permutation", which has no other).
    n_permutations : int
    adjust : str
        Correction for several variables: "holm", "bonferroni", "hommel", "fdr_bh", "fdr_by", "none", or "max-t", which
        takes the same permutations for all variables (Westfall and Young 1993), on the rows that have all of them.
    bootstrap : int
        Resamples of users for `stability`; 0 for none.
    known_at : str, or mapping of variable to str
        When variables are known: "origin", "start_date" (of a gap), "day 30", "lag 60". Needed where our own table does
        not say it: a cut of what is known only later looks ahead.
    cluster : str or None
        Rows of one cluster may depend on each other: statistics are then robust, and at most 99 cuts, evenly spaced in
        users, are looked at. "auto": `user_id` for history, gaps, and spells built with ``spells="all"``.
    weights : str, optional
        A column of whole numbers.
    weights_kind : {"frequency"}
        Required with weights: a row stands for so many users.
    duration, event, entry : str
        Columns. `entry` is used where it is named, and from our own tables always; at risk in (entry, duration].
    seed : int
        Of permutations, resamples and folds.
    level : float
        Of limits, ranges and the critical value.

    Returns
    -------
    Cutpoint
        ``.table`` has one row a variable: users at or below `cut` against those above, z above 0 where those above
        have their event sooner. `p_value` is corrected for the search, `adjusted_p_value` for the variables too. Limits
        of `hazard_ratio` hold for all cuts together, so that the search is in them; the ratio itself is the largest of
        many and thus optimistic, which `held_out_ratio` is not: everybody is sorted by a cut that was chosen without
        them (Faraggi and Simon 1996). `range_lower` to `range_upper` are the cuts that the data cannot tell from the
        best one; `stability` is the share of resamples whose cut is within a tenth of the users of it.

    Raises
    ------
    InputError
        If a variable does not vary, no cut leaves enough users on either side, it is not said when a variable is known,
        it is the outcome, or nobody churned.

    Notes
    -----
    Sources: Mantel (1966) for the statistic; Miller and Siegmund (1982), Lausen and Schumacher (1992) for the search.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> balance = np.round(rng.lognormal(5, 1, 600))
    >>> life = 30 + np.ceil(rng.exponential(np.where(balance > 100, 80.0, 25.0))).astype(int)
    >>> data = pd.DataFrame({"duration": np.minimum(life, 120), "churned": life <= 120, "balance": balance})
    >>> found = cutpoint(data, "balance", known_at="origin", bootstrap=50)
    >>> found.table[["cut", "n_below", "n_above", "range_lower", "range_upper"]]
         cut  n_below  n_above  range_lower  range_upper
    0  100.0      212      388         96.0        101.0
    """
    names = column_list("variable", variable)
    how = _checked(names, min_share, p_value, standardise, adjust, n_permutations, bootstrap, seed, level)
    if weights_kind == "sampling":
        raise InputError(
            "cutpoint takes no sampling weights: the law of the largest statistic is that of users who count alike. "
            "Search without weights, and test the cut on other data with ch.logrank."
        )
    refuse_outcome_variables(data, names, duration=duration, event=event, entry=entry)
    known = known_days(data, names, known_at)
    found = survival_data(
        data, cluster=cluster, duration=duration, event=event, entry=entry, columns=names, weights=weights,
        weights_kind=weights_kind,
    )  # fmt: skip
    if found.cluster_codes is not None and p_value == "permutation":
        raise InputError(
            f"permutations move rows, and those of one {found.cluster_name} belong together. Take "
            "p_value='asymptotic', which is robust, or cluster=None."
        )
    held, outcome = _at_risk(found)
    check_at_risk_since(found, known, said=[name for name in names if found.known_at.get(name, "given") == "given"])
    values = [_numbers(found, name)[held] for name in names]
    cuts = [search(name, each, outcome, how) for name, each in zip(names, values, strict=True)]
    p, p_adjusted = _p_values(cuts, values, outcome, how, p_value, n_permutations, adjust)
    return Cutpoint(
        variables=tuple(names),
        event=outcome_columns(data, duration=duration, event=event, entry=entry).event,
        standardise=how.standardise,
        p_values=p_value,
        adjust=adjust,
        min_share=min_share,
        level=how.level,
        n_permutations=n_permutations if p_value == "permutation" else 0,
        bootstrap=bootstrap,
        seed=seed,
        cluster=found.cluster_name,
        critical={each.variable: each.critical for each in cuts},
        n_users=round(outcome.duration.size if outcome.frequency is None else float(outcome.frequency.sum())),
        n_events=round(max(each.n_events for each in cuts)),
        n_no_risk=found.n_no_risk,
        notes=_notes(found, cuts, how, p_value),
        _table=_table(cuts, known, p, p_adjusted),
        _scan=_scan(cuts),
        _said=found.source,
    )


def _checked(
    names: Sequence[str], min_share: float, p_value: str, standardise: str | None, adjust: str, n_permutations: int,
    bootstrap: int, seed: int, level: float,
) -> Search:  # fmt: skip
    if not names:
        raise InputError("cutpoint needs a variable: the name of a column of numbers.")
    for what, given, options in (("p_value", p_value, _P_VALUES), ("standardise", standardise, (*_STANDARDISE, None))):
        if given not in options:
            known = ", ".join(repr(option) for option in options if option is not None)
            raise InputError(f"{what} must be one of {known}, not {given!r}.{did_you_mean(str(given), _STANDARDISE)}")
    if p_value == "permutation" and standardise == "log-rank":
        raise InputError(
            "p_value='permutation' compares statistics that are divided by the variance over permutations; the "
            "log-rank variance is another one at each of them. Leave standardise out, or take p_value='asymptotic'."
        )
    if adjust == _MAX_T and p_value != "permutation":
        raise InputError("adjust='max-t' takes its p-values from permutations: pass p_value='permutation', or 'holm'.")
    if adjust != _MAX_T:
        check_adjust(adjust)
    if not isinstance(min_share, (int, float)) or not 0 <= min_share < 0.5:
        raise InputError(
            f"min_share is the least share of users on either side: from 0 to below 0.5, not {min_share!r}."
        )
    for what, n, least in (("n_permutations", n_permutations, 99), ("bootstrap", bootstrap, 0), ("seed", seed, 0)):
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < least:
            raise InputError(f"{what} must be a whole number, {least} or more, not {n!r}.")
    chosen = standardise or ("permutation" if p_value == "permutation" else "log-rank")
    return Search(float(min_share), chosen, int(bootstrap), int(seed), check_level(level))  # type: ignore[arg-type]


def _at_risk(found: SurvivalData) -> tuple[NDArray[np.bool_], Outcome]:
    """Rows ever at risk."""
    held = np.ones(found.n, dtype=np.bool_) if found.entry is None else found.entry < found.duration
    everybody = Outcome(
        found.duration, found.churned, found.entry, found.frequency, found.cluster_codes, found.n_clusters
    )
    return held, everybody.take(held)


def _p_values(
    cuts: Sequence[FoundCut], values: Sequence[Floats], outcome: Outcome, how: Search, p_value: str,
    n_permutations: int, adjust: str,
) -> tuple[Floats, Floats]:  # fmt: skip
    """P-values corrected for the search, and for the number of variables too."""
    if p_value == "asymptotic":
        p = np.array([each.p_value for each in cuts])
        return p, adjusted(p, adjust)
    permuted = permutation_p_values(values, outcome, how, n_permutations, together=adjust == _MAX_T)
    p = permuted[:, 0]
    return p, permuted[:, 1] if adjust == _MAX_T else adjusted(p, adjust)


def _numbers(found: SurvivalData, name: str) -> Floats:
    values = numeric_column(found.frame, name, "numbers, or true and false, to be cut").astype(np.float64)
    if np.isinf(values).any():
        raise InputError(
            f"{name!r} holds infinite numbers: they cannot be ordered among themselves. Fill them in first."
        )
    return values


def _table(cuts: Sequence[FoundCut], known: Mapping[str, str], p: Floats, p_adjusted: Floats) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for each, alone, together in zip(cuts, p, p_adjusted, strict=True):
        below = round(float(each.scan.n_below[each.best]))
        reach = each.critical * each.log_ratio_error
        rows.append(
            (
                each.variable, known[each.variable], float(each.scan.cut[each.best]), below,
                round(each.n_users) - below, each.scan.cut.size, float(each.scan.statistic[each.best]), float(alone),
                float(together), np.exp(each.log_ratio), np.exp(each.log_ratio - reach),
                np.exp(each.log_ratio + reach), each.held_out_ratio, each.stability, each.low, each.high,
            )
        )  # fmt: skip
    return pd.DataFrame(rows, columns=list(schema("cutpoint").names))


def _scan(cuts: Sequence[FoundCut]) -> pd.DataFrame:
    import pandas as pd

    parts = [
        pd.DataFrame(
            {
                "variable": each.variable,
                "cut": each.scan.cut,
                "n_below": np.rint(each.scan.n_below).astype(np.int64),
                "statistic": each.scan.statistic,
            }
        )
        for each in cuts
    ]
    return pd.concat(parts, ignore_index=True)


def _notes(found: SurvivalData, cuts: Sequence[FoundCut], how: Search, p_value: str) -> tuple[str, ...]:
    notes = [
        "The hazard ratio is the largest of many and thus optimistic, the more so the larger its p-value; its limits "
        "hold for all cuts together. The held-out ratio is free of the search."
    ]
    if found.cluster_name is not None:
        notes.append(
            f"Statistics are robust, with clusters by {found.cluster_name}; at most 99 cuts, evenly spaced in users, "
            "are looked at."
        )
    elif how.standardise == "permutation":
        notes.append(
            "Statistics are divided by their variance over permutations, which takes censoring and entry to have "
            "nothing to do with the variable; the log-rank z at the same cut differs a little."
        )
    if p_value == "permutation" and found.entry is not None:
        notes.append("Permutations take the day of entry to have nothing to do with the variable.")
    for each in cuts:
        if each.n_missing:
            notes.append(f"{counted(each.n_missing, 'row')} at risk without {each.variable!r} left out of its search.")
        edge = each.best in (0, each.scan.cut.size - 1) and each.scan.cut.size > 1 and how.min_share > 0
        if edge and each.p_value < 1 - how.level:
            notes.append(
                f"The best cut of {each.variable!r} is the outermost one that min_share={how.min_share:g} allows: the "
                "true one may lie beyond it."
            )
        if each.n_events < _FEW_EVENTS:
            notes.append(
                f"{each.variable!r}: {counted(round(each.n_events), 'event')} only; p-values from normal deviates are "
                "rough there. Compare p_value='permutation'."
            )
    return (*notes, *crowded_days(rows_at_risk(found), found))
