"""Sums of coefficients and joint Wald tests: questions that one row of the table of a Cox model does not answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.special import chdtrc, ndtr, ndtri

from churnsurv.errors import InputError, did_you_mean
from churnsurv.survival.inputs import check_level
from churnsurv.survival.multiplicity import adjusted, check_adjust, holds_together
from churnsurv.survival.tests_ import TestResult
from churnsurv.tables import Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from churnsurv.survival.cox_fit import CoxFit

__all__ = ["Contrasts", "contrasts", "joint_test", "joint_tests"]

Floats: TypeAlias = NDArray[np.float64]

# What the methods hold down: the chance of any false finding (then limits can hold together), or the share of them.
_MOST_CATEGORIES = 500  # 124,750 pairs
_NO_RANK = 1e-10


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Contrasts(Result):
    """Sums of coefficients with p-values and limits for their number; made by `contrasts`.

    Attributes
    ----------
    level : float
        Of the limits.
    adjust : str
        How the p-values are adjusted.
    limits : str
        "simultaneous" (Bonferroni: all intervals hold together at `level`) or "each alone".
    cluster : str or None
        Column of the clusters, where the covariance is robust.
    """

    _schema: ClassVar[str] = "contrasts"

    level: float
    adjust: str
    limits: str
    cluster: str | None
    _labels: tuple[str, ...]
    _values: Mapping[str, Floats]

    @property
    def table(self) -> pd.DataFrame:
        """One row per contrast."""
        import pandas as pd

        return pd.DataFrame({"contrast": list(self._labels), **self._values})

    def _headline(self) -> str:
        values, k = self._values, len(self._labels)
        first = int(np.lexsort((-np.abs(values["statistic"]), values["p_adjusted"]))[0])
        p = float(values["p_adjusted"][first])
        said = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
        ratio, low, high = (float(values[name][first]) for name in ("hazard_ratio", "hr_lower", "hr_upper"))
        count = f"{k} contrasts, {self.adjust}; clearest: " if k > 1 else ""
        return (
            f"{count}{self._labels[first]}: hazard ratio {ratio:.3g}, {100 * self.level:g}% interval {low:.3g} to "
            f"{high:.3g}, {said}"
        )

    def _facts(self) -> dict[str, Any]:
        return {"level": self.level, "adjust": self.adjust, "limits": self.limits, "cluster": self.cluster}

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the hazard ratios with their intervals."""
        from churnsurv.plots import forest

        table = self.table.rename(columns={"contrast": "term"}).assign(variable="", category=None, reference=None)
        axes: Axes = forest(table, ax, level=self.level)
        return axes


def contrasts(
    fit: CoxFit,
    weights: Mapping[str, Mapping[str, float]] | None = None,
    *,
    variable: str | None = None,
    adjust: str = "holm",
    level: float | None = None,
) -> Contrasts:
    """Estimate sums of weights times coefficients, or compare all categories of a variable.

    Parameters
    ----------
    fit : CoxFit
    weights : mapping of name to weights, optional
        Each a mapping of terms (as in ``fit.table``) to numbers: ``{"friends or search": {"channel: friend": 0.5,
        "channel: search": 0.5}}``. A reference category, "channel: ads", has coefficient 0.
    variable : str, optional
        A categorical variable: every category is compared with every one before it, the reference first. Where the
        formula has an interaction of it, these are the differences with the others at zero or at their reference.
    adjust : {"holm", "bonferroni", "hommel", "fdr_bh", "fdr_by", "none"}
        Adjustment of the p-values for the number of contrasts. With the first three the limits are Bonferroni's, so
        that all intervals hold together; else each interval holds alone.
    level : float, optional
        By default that of the fit.

    Returns
    -------
    Contrasts
        Wald statistics by the covariance of the fit, robust where that is.

    Raises
    ------
    InputError
        If neither or both of `weights` and `variable` are given, a term is not in the model (the nearest is named), the
        weights are no finite numbers or all zero, or the fit has no covariance (lasso).

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.survival import cox
    >>> data = pd.DataFrame({"duration": [2, 3, 4, 5, 7, 9], "churned": 1, "g": ["b", "a", "c", "b", "c", "a"]})
    >>> fit = cox("g", data)
    >>> contrasts(fit, variable="g").table[["contrast", "hazard_ratio", "p_value", "p_adjusted"]].round(3)
      contrast  hazard_ratio  p_value  p_adjusted
    0    b - a         3.748    0.313       0.939
    1    c - a         1.785    0.637       0.990
    2    c - b         0.476    0.495       0.990
    >>> contrasts(fit, {"others": {"g: b": 0.5, "g: c": 0.5}}).table["estimate"].round(3).tolist()
    [0.95]
    """
    if (weights is None) == (variable is None):
        raise InputError(
            "contrasts needs weights={name: {term: weight}} or variable=, the name of a categorical variable; one of "
            "them, not both."
        )
    check_adjust(adjust)
    level = fit.level if level is None else check_level(level)
    if not np.isfinite(fit.covariance).all():
        raise InputError(
            "this fit has no covariance (a lasso penalty chooses coefficients by the same data), so that contrasts "
            "have no standard error. Fit without penalty."
        )
    labels, estimate, variance = _pairs(fit, variable) if variable is not None else _sums(fit, weights or {})
    if not (variance > 0).all():
        name = labels[int(np.argmin(variance > 0))]
        raise InputError(
            f"the robust covariance of the fit gives the contrast {name!r} no variance: there are too few clusters to "
            "judge it. Fit with cluster=None, or drop terms."
        )
    return _tested(fit, labels, estimate, np.sqrt(variance), adjust=adjust, level=level)


def _tested(
    fit: CoxFit, labels: tuple[str, ...], estimate: Floats, error: Floats, *, adjust: str, level: float
) -> Contrasts:
    statistic = estimate / error
    p_value = 2 * ndtr(-np.abs(statistic))
    together = holds_together(adjust)
    reach = -ndtri((1 - level) / 2 / (len(labels) if together else 1)) * error
    lower, upper = estimate - reach, estimate + reach
    with np.errstate(over="ignore", under="ignore"):
        ratios = [np.exp(values) for values in (estimate, lower, upper)]
    values = {
        "estimate": estimate,
        "std_error": error,
        "statistic": statistic,
        "p_value": p_value,
        "p_adjusted": adjusted(p_value, adjust),
        "lower": lower,
        "upper": upper,
        **dict(zip(("hazard_ratio", "hr_lower", "hr_upper"), ratios, strict=True)),
    }
    for array in values.values():
        array.setflags(write=False)
    return Contrasts(
        level=level,
        adjust=adjust,
        limits="simultaneous" if together else "each alone",
        cluster=fit.cluster,
        _labels=labels,
        _values=values,
    )


def _sums(fit: CoxFit, weights: Mapping[str, Mapping[str, float]]) -> tuple[tuple[str, ...], Floats, Floats]:
    """Named sums: L b and the diagonal of L V L'."""
    if not weights:
        raise InputError("weights names no contrast. Write weights={'name': {'channel: search': 1}}.")
    place = {row.term: i for i, row in enumerate(fit._rows)}
    references = _references(fit)
    matrix = np.zeros((len(weights), len(place)))
    for line, (name, of_terms) in zip(matrix, weights.items(), strict=True):
        if not isinstance(of_terms, Mapping):
            raise InputError(f"weights: the contrast {name!r} must map terms to numbers, not be {of_terms!r}.")
        for term, weight in of_terms.items():
            if term not in place and term not in references:
                raise InputError(
                    f"weights: the contrast {name!r} names {term!r}, which is no term of the model."
                    f"{did_you_mean(str(term), [*place, *references])} Terms: {_listed(place)}."
                )
            if not _finite(weight):
                raise InputError(
                    f"weights: the weight of {term!r} in {name!r} must be a finite number, not {weight!r}."
                )
            if term in place:
                line[place[term]] = weight
        if not line.any():
            raise InputError(f"weights: the contrast {name!r} is zero whatever the coefficients are. Give it a weight.")
    variance: Floats = np.einsum("kp,pq,kq->k", matrix, fit.covariance, matrix, optimize=True)
    return tuple(map(str, weights)), matrix @ fit._estimates, variance


def _finite(weight: object) -> bool:
    return isinstance(weight, (int, float, np.integer, np.floating)) and bool(np.isfinite(weight))


def _references(fit: CoxFit) -> set[str]:
    """Reference categories written as terms; their coefficient is 0."""
    single = {code.name for code in fit._encoding.factors.values() if code.categories is not None}
    return {f"{row.variable}: {row.reference}" for row in fit._rows if row.variable in single and row.reference}


def _pairs(fit: CoxFit, variable: str) -> tuple[tuple[str, ...], Floats, Floats]:
    """Differences of all pairs of categories, the later one less the earlier one."""
    places = _categories_of(fit, variable)
    names = [str(fit._rows[places[0]].reference), *(str(fit._rows[i].category) for i in places)]
    if len(names) > _MOST_CATEGORIES:
        raise InputError(
            f"variable: {variable!r} has {len(names)} categories, too many to compare all pairs ({_MOST_CATEGORIES} "
            "are the most). Name the contrasts that matter: weights={...}."
        )
    value = np.concatenate([[0.0], fit._estimates[places]])
    covariance = np.pad(fit.covariance[np.ix_(places, places)], ((1, 0), (1, 0)))
    first, second = np.triu_indices(len(names), 1)
    variance = covariance[first, first] + covariance[second, second] - 2 * covariance[first, second]
    labels = tuple(f"{names[j]} - {names[i]}" for i, j in zip(first, second, strict=True))
    return labels, value[second] - value[first], variance


def _categories_of(fit: CoxFit, variable: str) -> list[int]:
    """Rows of the table that compare each category of a variable with its reference."""
    places = [i for i, row in enumerate(fit._rows) if row.variable == variable]
    plain = [code.name for code in fit._encoding.factors.values() if code.categories is not None]
    usable = [name for name in plain if any(row.variable == name and row.reference for row in fit._rows)]
    if not places:
        raise InputError(
            f"variable: {variable!r} is no variable of the model.{did_you_mean(variable, usable)} Categorical "
            f"variables: {_listed(usable)}."
        )
    if variable not in usable:
        raise InputError(
            f"variable: {variable!r} has no categories to compare with a reference. Name the sums that you want: "
            f"weights={{'name': {{{fit._rows[places[0]].term!r}: 1}}}}. Categorical variables: {_listed(usable)}."
        )
    return places


def joint_test(fit: CoxFit, terms: str | Sequence[str]) -> TestResult:
    """Test that the coefficients of some variables or terms are all zero (Wald), robust where the covariance is.

    Parameters
    ----------
    fit : CoxFit
    terms : str or sequence of str
        Variables ("channel": all its categories; "channel:amount" for an interaction) or terms ("channel: search").

    Raises
    ------
    InputError
        If a name is no variable and no term, the fit is penalised, or its robust covariance has too low a rank.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.survival import cox
    >>> data = pd.DataFrame({"duration": [2, 3, 4, 5, 7, 9], "churned": 1, "g": ["b", "a", "c", "b", "c", "a"]})
    >>> joint_test(cox("g", data), "g")
    <TestResult: joint Wald test of g: chi-square 1.07 on 2 df, p = 0.587>
    """
    fit._refuse_if_shrunk("joint Wald test")
    named = [terms] if isinstance(terms, str) else list(terms)
    if not named:
        raise InputError("joint_test needs the name of a variable or a term.")
    places: set[int] = set()
    for name in named:
        found = [i for i, row in enumerate(fit._rows) if name in (row.variable, row.term)]
        if not found:
            variables = dict.fromkeys(row.variable for row in fit._rows)
            known = [*variables, *(row.term for row in fit._rows)]
            raise InputError(
                f"joint_test: {name!r} is no variable and no term of the model.{did_you_mean(str(name), known)} "
                f"Variables: {_listed(variables)}."
            )
        places.update(found)
    statistic, df, p_value = _wald(fit, sorted(places))
    if np.isnan(statistic):
        raise InputError(
            f"the robust covariance of these {df} coefficients has a lower rank: {fit._n_clusters or fit.n} clusters "
            "are too few to test so many together. Test fewer terms, or fit with cluster=None."
        )
    robust = "robust " if fit._robust else ""
    method = f"{robust}joint Wald test of {', '.join(map(str, named))}"
    return TestResult(statistic=statistic, df=df, p_value=p_value, method=method)


def joint_tests(fit: CoxFit) -> pd.DataFrame:
    """Test each variable of the formula, all its coefficients together (Wald); schema "joint_tests".

    With an interaction in the formula, the row of a variable is about its own terms alone: its effect where the others
    are at zero or at their reference. A statistic is null where the robust covariance has too few clusters for it.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.survival import cox
    >>> data = pd.DataFrame({
    ...     "duration": [2, 3, 4, 5, 7, 9], "churned": 1, "g": ["b", "a", "c", "b", "c", "a"], "x": [1, 5, 2, 4, 0, 3],
    ... })
    >>> joint_tests(cox("g + x", data)).round(3)
      variable  statistic  df  p_value
    0        g      1.017   2    0.601
    1        x      0.045   1    0.831
    """
    import pandas as pd

    fit._refuse_if_shrunk("joint Wald test")
    places: dict[str, list[int]] = {}
    for i, row in enumerate(fit._rows):
        places.setdefault(row.variable, []).append(i)
    found = [(name, *_wald(fit, of_variable)) for name, of_variable in places.items()]
    return pd.DataFrame(found, columns=["variable", "statistic", "df", "p_value"])


def _wald(fit: CoxFit, places: list[int]) -> tuple[float, int, float]:
    """Wald's b' V^-1 b; NaN where V is not of full rank."""
    df = len(places)
    covariance = fit.covariance[np.ix_(places, places)]
    diagonal = np.diagonal(covariance)
    if not (diagonal > 0).all():
        return float("nan"), df, float("nan")
    scale = 1 / np.sqrt(diagonal)
    values, vectors = eigh(covariance * np.outer(scale, scale))
    if values[0] <= _NO_RANK * values[-1]:
        return float("nan"), df, float("nan")
    along = (fit._estimates[places] * scale) @ vectors
    statistic = float(np.sum(along**2 / values))
    return statistic, df, float(chdtrc(df, statistic))


def _listed(names: Any) -> str:
    shown = [repr(str(name)) for name in names]
    return ", ".join(shown[:20]) + (f" and {len(shown) - 20} more" if len(shown) > 20 else "") or "none"
