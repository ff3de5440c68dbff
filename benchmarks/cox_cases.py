"""The Cox rows: ours, lifelines, statsmodels, the Rust port `survival`, and R, on the same tables.

The limit is one for all of them: what five Newton steps on the same numeric columns cannot do without. A peer that is
not installed is absent. Those that take minutes run with ``--slow`` only.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.linalg.blas import dsyrk

from benchmarks.case import Contestant, Run
from benchmarks.measure import AbsentError, Own

DAYS = 730

_N_COHORTS, _N_TEAMS = 24, 2_000


def dense_table(rows: int) -> pd.DataFrame:
    """Twenty numeric covariates, of which five matter; days 1..730, about half censored."""
    return _dense(rows, 20)


def _dense(rows: int, p: int) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((rows, p))
    beta = np.r_[np.linspace(-0.4, 0.4, 5), np.zeros(p - 5)]
    life = np.ceil(rng.exponential(600 * np.exp(-x @ beta)))
    stop = rng.integers(1, DAYS + 1, rows)
    table = pd.DataFrame(x, columns=[f"x{j}" for j in range(p)])
    table["duration"] = np.minimum(life, stop).astype(np.int64)
    table["churned"] = life <= stop
    return table


def categories_table(rows: int) -> pd.DataFrame:
    """Six channels and 24 cohorts; days 1..730, about half censored."""
    rng = np.random.default_rng(5)
    channel, cohort = rng.integers(0, 6, rows), rng.integers(0, _N_COHORTS, rows)
    life = np.ceil(rng.exponential(600 / np.exp(0.1 * channel + 0.01 * cohort)))
    stop = rng.integers(1, DAYS + 1, rows)
    return pd.DataFrame(
        {
            "duration": np.minimum(life, stop).astype(np.int64),
            "churned": life <= stop,
            "channel": pd.Categorical.from_codes(channel, list("abcdef")),
            "cohort": pd.Categorical.from_codes(cohort, [f"m{i:02d}" for i in range(_N_COHORTS)]),
        }
    )


def strata_table(rows: int) -> pd.DataFrame:
    """The dense table in 24 cohorts."""
    codes = np.random.default_rng(6).integers(0, _N_COHORTS, rows)
    return dense_table(rows).assign(cohort=pd.Categorical.from_codes(codes, [f"m{i:02d}" for i in range(_N_COHORTS)]))


def cluster_table(rows: int) -> pd.DataFrame:
    """The dense table in 2,000 teams."""
    return dense_table(rows).assign(team=np.random.default_rng(7).integers(0, _N_TEAMS, rows))


def start_stop_table(rows: int) -> pd.DataFrame:
    """Ten covariates, users' histories cut into (start, stop] rows at random days."""
    users = _dense(int(rows / 2.2), 10)
    rng = np.random.default_rng(8)
    pieces = np.minimum(1 + rng.poisson(1.2, len(users)), users["duration"].to_numpy())
    table = users.loc[np.repeat(np.arange(len(users)), pieces)].reset_index(drop=True)
    last = np.cumsum(pieces) - 1
    nth = np.arange(len(table)) - np.repeat(last - pieces + 1, pieces)
    whole = table["duration"].to_numpy()
    count = np.repeat(pieces, pieces)
    table["entry"], table["duration"] = whole * nth // count, whole * (nth + 1) // count
    ends = np.zeros(len(table), dtype=bool)
    ends[last] = True
    table["churned"] &= ends
    changing = [f"x{j}" for j in range(3)]
    table[changing] += 0.3 * rng.standard_normal((len(table), 3))
    return table


def causes_table(rows: int) -> pd.DataFrame:
    """Ten covariates, churn by one of two causes."""
    table = _dense(rows, 10)
    codes = np.random.default_rng(9).integers(0, 2, rows)
    return table.assign(cause=pd.Categorical.from_codes(codes, ["rigid", "natural"]))


def scores_table(rows: int) -> pd.DataFrame:
    """Whole days 1..730, about half censored, and a score that says something."""
    rng = np.random.default_rng(4)
    score = rng.standard_normal(rows)
    life = np.ceil(rng.exponential(600 * np.exp(-0.5 * score)))
    stop = rng.integers(1, DAYS + 1, rows)
    return pd.DataFrame({"duration": np.minimum(life, stop).astype(np.int64), "churned": life <= stop, "score": score})


def ours(*, formula: str | None = None, **options: object) -> Contestant:
    """Our fit; without a formula on all columns x0, x1 ..."""

    def prepare(table: pd.DataFrame) -> Run:
        import churnsurv as ch

        terms = formula or _sum_of_x(table)
        return lambda: float(ch.cox(terms, table, **options).table["estimate"].sum())  # type: ignore[arg-type]

    return prepare


def our_ph_test(table: pd.DataFrame) -> Run:
    """With hazard ratios in three windows of follow-up, which no peer gives."""
    import churnsurv as ch

    fit = ch.cox(_sum_of_x(table), table)
    return lambda: float(ch.ph_test(fit).table["statistic"].iloc[:-1].sum())


def our_ph_score(table: pd.DataFrame) -> Run:
    """What the peers do: the statistics alone."""
    import churnsurv as ch
    from churnsurv.numerics.ph_test import ph_score, transformed

    training = ch.cox(_sum_of_x(table), table)._training
    if training is None:
        raise AbsentError("the fit holds no rows")

    def run() -> float:
        g = transformed("km", training.data.sets, duration=training.duration, entry=None, frequency=None)
        score = ph_score(training.data, training.state(), g)
        return float(np.sum(score.score**2 / np.diagonal(score.variance)))

    return run


def our_fine_gray(table: pd.DataFrame) -> Run:
    """With the robust variance that Fine and Gray's model needs."""
    import churnsurv as ch

    terms = _sum_of_x(table)
    return lambda: float(ch.fine_gray(terms, table, cause="cause", cause_of_interest="rigid").table["estimate"].sum())


def our_robust_cox(table: pd.DataFrame) -> Run:
    """Cox's model of the same rows with a robust variance by row."""
    import churnsurv as ch

    terms, rows = _sum_of_x(table), table.assign(row=np.arange(len(table)))
    return lambda: float(ch.cox(terms, rows, cluster="row").table["estimate"].sum())


def our_concordance(table: pd.DataFrame) -> Run:
    """With a standard error."""
    import churnsurv as ch

    return lambda: ch.concordance(table, score="score").estimate


def lifelines(**options: object) -> Contestant:
    """Lifelines' fit; categories as columns of their own."""

    def prepare(table: pd.DataFrame) -> Run:
        from lifelines import CoxPHFitter

        wide = pd.get_dummies(table, columns=[c for c in ("channel",) if c in table], drop_first=True, dtype=float)
        return lambda: float(CoxPHFitter().fit(wide, "duration", "churned", **options).params_.sum())  # type: ignore[arg-type]

    return prepare


def lifelines_ph_test(table: pd.DataFrame) -> Run:
    """Lifelines' test: the older approximation."""
    from lifelines import CoxPHFitter
    from lifelines.statistics import proportional_hazard_test

    fit = CoxPHFitter().fit(table, "duration", "churned")
    return lambda: float(np.sum(proportional_hazard_test(fit, table, time_transform="km").test_statistic))


def lifelines_concordance(table: pd.DataFrame) -> Run:
    """Without a standard error; a high value of theirs means a long life."""
    from lifelines.utils import concordance_index

    return lambda: float(concordance_index(table["duration"], -table["score"], table["churned"]))


def statsmodels(*, groups: str | None = None, strata: str | None = None, entry: str | None = None) -> Contestant:
    """Fit statsmodels' PHReg with Efron's ties."""

    def prepare(table: pd.DataFrame) -> Run:
        from statsmodels.duration.hazard_regression import PHReg

        x = table[_columns_x(table)].to_numpy()
        event = table["churned"].to_numpy().astype(float)

        def run() -> float:
            model = PHReg(
                table["duration"].to_numpy(),
                x,
                status=event,
                ties="efron",
                strata=None if strata is None else table[strata].cat.codes.to_numpy(),
                entry=None if entry is None else table[entry].to_numpy(),
            )
            found = model.fit(groups=None if groups is None else table[groups].to_numpy())
            return float(found.params.sum() + 0 * found.bse.sum())

        return run

    return prepare


def rust(*, strata: str | None = None, cluster: str | None = None, entry: str | None = None) -> Contestant:
    """Fit with the Rust port of R's package, PyPI `survival`."""

    def prepare(table: pd.DataFrame) -> Run:
        peer = _rust_package()
        table = table.assign(churned=table["churned"].astype(int))
        if strata is not None:
            table[strata] = table[strata].astype(str)
        formula = _rust_formula(table, entry=entry) + (f" + strata({strata})" if strata else "")
        options = {} if cluster is None else {"cluster": cluster}
        return lambda: float(np.sum(peer.coxph(formula, data=table, timefix=False, **options).coefficients))

    return prepare


def rust_categories(table: pd.DataFrame) -> Run:
    """The same on two categories."""
    peer = _rust_package()
    table = table.assign(
        churned=table["churned"].astype(int), channel=table["channel"].astype(str), cohort=table["cohort"].astype(str)
    )
    formula = "Surv(duration, churned) ~ channel + cohort"
    return lambda: float(np.sum(peer.coxph(formula, data=table, timefix=False).coefficients))


def rust_ph_test(table: pd.DataFrame) -> Run:
    """The exact test of the Rust port."""
    peer = _rust_package()
    table = table.assign(churned=table["churned"].astype(int))
    fit = peer.coxph(_rust_formula(table), data=table, timefix=False)

    def run() -> float:
        return 0.0 * len(str(peer.cox_zph(fit)))

    return run


def rust_concordance(table: pd.DataFrame) -> Run:
    """With a standard error."""
    peer = _rust_package()
    table = table.assign(churned=table["churned"].astype(int))

    def run() -> float:
        found = peer.concordance("Surv(duration, churned) ~ score", data=table, reverse=True, timefix=False)
        return 0.0 * len(str(type(found)))

    return run


def r(case: str) -> Contestant:
    """R's `survival`, timed inside R."""

    def prepare(table: pd.DataFrame) -> Run:
        if shutil.which("Rscript") is None:
            raise AbsentError("Rscript is not here")
        folder = Path(tempfile.mkdtemp(prefix="churnsurv-bench-"))
        for name in table:
            column = table[name]
            values = column.cat.codes if isinstance(column.dtype, pd.CategoricalDtype) else column
            values.to_numpy().astype(np.float64).tofile(folder / f"{name}.bin")
        (folder / "columns.txt").write_text("\n".join(map(str, table)) + "\n", encoding="utf-8")
        script = Path(__file__).with_name("peers.R")

        def run() -> Own:
            command = ["Rscript", str(script), case, str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            seconds, peak, answer = map(float, done.stdout.split()[-3:])
            return Own(seconds, peak, answer)

        return run

    return prepare


def gram_limit(table: pd.DataFrame) -> Run:
    """Five blocked weighted Gram matrices and five products: what five Newton steps cannot do without."""
    x = table[_columns_x(table)].to_numpy()
    root = np.sqrt(np.random.default_rng(3).random(len(x)))
    beta = np.full(x.shape[1], 0.1)

    def run() -> float:
        total = 0.0
        for _ in range(5):
            gram = np.zeros((x.shape[1], x.shape[1]))
            for start in range(0, len(x), 8192):
                block = x[start : start + 8192] * root[start : start + 8192, None]
                gram += dsyrk(1.0, block.T)
            total += float(gram.sum()) + float((x @ beta).sum())
        return total

    return run


def _columns_x(table: pd.DataFrame) -> list[str]:
    return [name for name in table if name[0] == "x" and name[1:].isdigit()]


def _sum_of_x(table: pd.DataFrame) -> str:
    return " + ".join(_columns_x(table))


def _rust_formula(table: pd.DataFrame, entry: str | None = None) -> str:
    return f"Surv({entry + ', ' if entry else ''}duration, churned) ~ {_sum_of_x(table)}"


def _rust_package():  # type: ignore[no-untyped-def]
    if find_spec("survival") is None:
        raise AbsentError("PyPI's survival is not installed")
    import survival

    return survival
