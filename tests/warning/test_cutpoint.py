"""Cuts of variables: found where they are, honest where there are none, refused where they would look ahead."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.errors import InputError, SchemaError
from churnsurv.simulation import simulate_app
from churnsurv.tables import schema
from churnsurv.warning import Cutpoint, cutpoint
from tests.data.test_null_world import world

FEW = {"known_at": "origin", "bootstrap": 20}


def table(n: int = 400, seed: int = 0, *, ratio: float = 3.0, cut: float = 100.0) -> pd.DataFrame:
    """Nobody churns before day 30, an eighth on it, and then sooner above the cut; every day has ties."""
    rng = np.random.default_rng(seed)
    balance = np.round(rng.lognormal(np.log(100), 1, n), 2)
    spent = rng.exponential(size=n) / np.where(balance > cut, ratio, 1.0)
    life = np.where(spent < 0.1, 30, 30 + np.ceil((spent - 0.1) * 80)).astype(int)
    end = rng.integers(20, 150, n)
    return pd.DataFrame(
        {
            "duration": np.minimum(life, end),
            "churned": life <= end,
            "balance": balance,
            "visits": rng.poisson(2, n),
            "noise": rng.normal(size=n),
            "boosted": rng.random(n) < 0.4,
        }
    )


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return table()


@pytest.fixture(scope="module")
def found(data: pd.DataFrame) -> Cutpoint:
    return cutpoint(data, ["balance", "visits", "boosted"], **FEW)


def test_the_statistic_is_that_of_the_log_rank_test_at_the_cut(data: pd.DataFrame, found: Cutpoint) -> None:
    for row in found.table.itertuples():
        test = ch.logrank(data.assign(above=data[row.variable] > row.cut), by="above", trend=True)
        assert row.statistic == pytest.approx(next(iter(test.facts["z"].values())), rel=1e-10)
        assert row.hazard_ratio == pytest.approx(test.effects["hazard_ratio"].iloc[0], rel=1e-9)
        assert (row.n_below, row.n_above) == (int((data[row.variable] <= row.cut).sum()),
                                              int((data[row.variable] > row.cut).sum()))  # fmt: skip
        scanned = found.scan[found.scan["variable"] == row.variable]
        assert len(scanned) == row.n_cuts
        assert abs(row.statistic) == scanned["statistic"].abs().max()


def test_the_cut_is_found_where_it_is(found: Cutpoint) -> None:
    row = found.table.set_index("variable").loc["balance"]
    assert row["range_lower"] <= 100 <= row["range_upper"] * 1.02
    assert row["p_value"] < 1e-6
    assert row["stability"] > 0.8
    assert row["hr_lower"] < 3 < row["hr_upper"]
    assert row["held_out_ratio"] == pytest.approx(3, rel=0.35)
    assert (
        found.critical["balance"]
        > found.critical["visits"]
        > found.critical["boosted"]
        == pytest.approx(1.96, abs=0.01)
    )


def test_the_result_shows_what_it_found(found: Cutpoint) -> None:
    assert list(found.table.columns) == list(schema("cutpoint").names)
    assert list(found.scan.columns) == list(schema("cutpoint_scan").names)
    assert repr(found).startswith("<Cutpoint: balance > ")
    assert "p < 0.001 after the search of" in repr(found)
    assert "and 3 variables" in repr(found)
    told = json.loads(found.to_json())
    assert told["facts"]["critical"]["balance"] == pytest.approx(found.critical["balance"])
    changed = found.table
    changed["cut"] = 0.0
    assert found.table["cut"].iloc[0] != 0.0


def test_one_cut_is_no_search(data: pd.DataFrame, found: Cutpoint) -> None:
    row = found.table.set_index("variable").loc["boosted"]
    test = ch.logrank(data, by="boosted")
    assert row["n_cuts"] == 1
    assert row["p_value"] == pytest.approx(test.p_value, rel=1e-9)


def test_several_variables_are_held_together(data: pd.DataFrame) -> None:
    names = ["balance", "visits", "noise"]
    holm = cutpoint(data, names, adjust="holm", **FEW).table
    plain = cutpoint(data, names, adjust="none", **FEW).table
    order = np.argsort(plain["p_value"])
    stepped = np.maximum.accumulate(plain["p_value"].to_numpy()[order] * np.array([3, 2, 1])).clip(max=1)
    np.testing.assert_allclose(holm["adjusted_p_value"].to_numpy()[order], stepped)
    np.testing.assert_array_equal(plain["adjusted_p_value"], plain["p_value"])


def test_the_headline_claims_nothing_where_nothing_is(data: pd.DataFrame) -> None:
    none = cutpoint(data, "noise", **FEW)
    assert repr(none).startswith("<Cutpoint: no cut stands out: p = ")
    row = none.table.iloc[0]
    assert row["hr_lower"] < 1 < row["hr_upper"]


def test_permutations_agree_with_the_normal_law(data: pd.DataFrame) -> None:
    names = ["visits", "noise"]
    asymptotic = cutpoint(data, names, standardise="permutation", **FEW).table
    permuted = cutpoint(data, names, p_value="permutation", n_permutations=999, **FEW).table
    np.testing.assert_array_equal(asymptotic["statistic"], permuted["statistic"])
    np.testing.assert_allclose(asymptotic["p_value"], permuted["p_value"], atol=0.06)
    assert (permuted["p_value"] >= 0.001).all()


def test_max_t_is_no_stricter_than_holm(data: pd.DataFrame) -> None:
    """Two copies of a variable are one question; Holm pays for two."""
    twice = data.assign(again=data["noise"] * 2)
    way = {"p_value": "permutation", "n_permutations": 499, **FEW}
    together = cutpoint(twice, ["noise", "again"], adjust="max-t", **way).table
    np.testing.assert_array_equal(together["adjusted_p_value"], together["p_value"])
    holm = cutpoint(twice, ["noise", "again"], adjust="holm", **way).table
    assert (holm["adjusted_p_value"] >= together["adjusted_p_value"]).all()
    np.testing.assert_allclose(holm["p_value"], together["p_value"], atol=0.08)


def test_frequencies_are_repeated_rows(data: pd.DataFrame) -> None:
    times = np.random.default_rng(1).integers(1, 4, len(data))
    once = cutpoint(data.assign(times=times), "balance", weights="times", weights_kind="frequency", **FEW)
    twice = cutpoint(data.loc[data.index.repeat(times)], "balance", **FEW)
    same = ["cut", "n_below", "n_above", "statistic", "p_value", "hazard_ratio", "hr_lower", "range_lower"]
    pd.testing.assert_frame_equal(once.table[same], twice.table[same])
    assert once.n_users == times.sum()


def test_permutations_of_frequencies_move_users(data: pd.DataFrame) -> None:
    times = np.random.default_rng(1).integers(1, 3, len(data))
    way = {"p_value": "permutation", "n_permutations": 99, **FEW}
    once = cutpoint(data.assign(times=times), "noise", weights="times", weights_kind="frequency", **way)
    twice = cutpoint(data.loc[data.index.repeat(times)], "noise", **way)
    assert once.table["p_value"].iloc[0] == pytest.approx(twice.table["p_value"].iloc[0], abs=1e-12)


def test_the_order_of_rows_does_not_matter(data: pd.DataFrame) -> None:
    moved = cutpoint(data.sample(frac=1, random_state=1), "balance", **FEW).table.drop(
        columns=["held_out_ratio", "stability"]
    )
    here = cutpoint(data, "balance", **FEW).table.drop(columns=["held_out_ratio", "stability"])
    pd.testing.assert_frame_equal(moved, here)


def test_same_seed_same_answer(data: pd.DataFrame) -> None:
    way = {"p_value": "permutation", "n_permutations": 99, **FEW}
    pd.testing.assert_frame_equal(cutpoint(data, "noise", **way).table, cutpoint(data, "noise", **way).table)


def test_rows_without_a_value_are_left_out_and_counted(data: pd.DataFrame) -> None:
    some = data.assign(balance=data["balance"].where(data.index % 5 > 0))
    found = cutpoint(some, "balance", **FEW)
    pd.testing.assert_frame_equal(found.table, cutpoint(some.dropna(), "balance", **FEW).table)
    assert any("80 rows at risk without 'balance'" in note for note in found.notes)


def test_rows_never_at_risk_do_not_count(data: pd.DataFrame) -> None:
    late = data.assign(entry=0)
    extra = late.head(30).assign(duration=10, entry=10, churned=False, balance=1e6)
    with_them = cutpoint(pd.concat([late, extra]), "balance", entry="entry", **FEW)
    assert with_them.n_no_risk == 30
    assert (
        with_them.table["n_above"].iloc[0] == cutpoint(late, "balance", entry="entry", **FEW).table["n_above"].iloc[0]
    )


@pytest.fixture(scope="module")
def log() -> ch.ActivityLog:
    return simulate_app(400, seed=3).log


@pytest.mark.filterwarnings("ignore::churnsurv.errors.ChurnsurvWarning")
def test_our_own_tables_say_when_and_by_whom(log: ch.ActivityLog) -> None:
    spells = log.churn_spells(features=["balance"], baseline_day=30)
    found = cutpoint(spells, "balance", bootstrap=5)
    assert found.table["known_at"].tolist() == ["day 30"]
    assert found.cluster is None
    gaps = cutpoint(log.gaps(features=["balance"]), ["balance", "mean_interval"], bootstrap=5)
    assert gaps.table["known_at"].tolist() == ["start_date", "start_date"]
    assert (gaps.cluster, gaps.event) == ("user_id", "returned")
    assert (gaps.table["n_cuts"] <= 99).all()
    assert any("robust, with clusters by user_id" in note for note in gaps.notes)


def test_a_relation_gives_the_same_cut(log: ch.ActivityLog) -> None:
    way = {"features": ["n_investments"], "baseline_day": 30}
    inside = cutpoint(log.relation("spells", **way), "n_investments", bootstrap=0)
    here = cutpoint(log.churn_spells(**way), "n_investments", bootstrap=0)
    same = [name for name in inside.table.columns if name != "held_out_ratio"]  # folds are dealt otherwise
    pd.testing.assert_frame_equal(inside.table[same], here.table[same])


class TestRefused:
    def test_a_table_that_does_not_say_when_its_columns_are_known(self, data: pd.DataFrame) -> None:
        with pytest.raises(InputError, match=r"nothing says when 'balance' is known.*known_at=\{'balance': 'origin'\}"):
            cutpoint(data, "balance")

    def test_attributes_that_nobody_dated(self, log: ch.ActivityLog) -> None:
        spells = log.churn_spells(features=["balance"], baseline_day=30)
        with pytest.raises(InputError, match="the table says 'day 30'"):
            cutpoint(spells, "balance", known_at="origin")
        with pytest.raises(InputError, match="nothing says when 'channel' is known"):
            cutpoint(spells, ["balance", "channel"])

    def test_days_on_which_the_value_is_not_known_yet(self, data: pd.DataFrame) -> None:
        with pytest.raises(InputError, match="known at the end of day 20, but rows are at risk from the first day"):
            cutpoint(data, "balance", known_at="day 20")
        with pytest.raises(InputError, match="at risk from day 5"):
            cutpoint(data.assign(entry=5), "balance", known_at={"balance": "day 20"}, entry="entry")
        later = data[data["duration"] > 20].assign(entry=20)
        assert cutpoint(later, "balance", known_at="day 20", entry="entry", bootstrap=0).n_users == len(later)

    @pytest.mark.parametrize("known", ["later", "day x", 3])
    def test_days_that_are_none(self, data: pd.DataFrame, known: object) -> None:
        with pytest.raises(InputError, match="known_at says when a variable is known"):
            cutpoint(data, "balance", known_at=known)  # type: ignore[arg-type]

    def test_a_day_of_another_variable(self, data: pd.DataFrame) -> None:
        with pytest.raises(InputError, match=r"'balanec' is not among the variables. Did you mean 'balance'\?"):
            cutpoint(data, "balance", known_at={"balanec": "origin"})

    @pytest.mark.parametrize("name", ["duration", "churned"])
    def test_the_outcome(self, data: pd.DataFrame, name: str) -> None:
        with pytest.raises(InputError, match=f"variable: '{name}' cannot be cut: it is the outcome itself"):
            cutpoint(data, name, known_at="origin")

    def test_what_knows_the_end_of_a_spell(self, log: ch.ActivityLog) -> None:
        with pytest.raises(InputError, match="known only when the spell ends"):
            cutpoint(log.churn_spells(), "last_activity", known_at="origin")

    def test_a_panel(self, log: ch.ActivityLog) -> None:
        with pytest.raises(InputError, match="a landmark panel is no data"):
            cutpoint(log.landmark_panel(features=["balance"]), "balance")

    def test_a_variable_without_variation(self, data: pd.DataFrame) -> None:
        with pytest.raises(InputError, match="'balance' does not vary: all 400 rows at risk have 7"):
            cutpoint(data.assign(balance=7), "balance", **FEW)
        with pytest.raises(InputError, match="has no values among the rows at risk"):
            cutpoint(data.assign(balance=np.nan), "balance", **FEW)

    def test_a_variable_that_is_nearly_one_value(self, data: pd.DataFrame) -> None:
        rare = data.assign(balance=(data.index < 20).astype(float))
        with pytest.raises(InputError, match=r"no cut with 10 % of the users on either side: 0 alone has 95 %"):
            cutpoint(rare, "balance", **FEW)
        with pytest.raises(SchemaError, match="must hold numbers"):
            cutpoint(data.assign(balance="high"), "balance", **FEW)

    def test_infinite_values(self, data: pd.DataFrame) -> None:
        with pytest.raises(InputError, match="holds infinite numbers"):
            cutpoint(data.assign(balance=np.where(data.index < 3, np.inf, data["balance"])), "balance", **FEW)

    def test_nobody_churned(self, data: pd.DataFrame) -> None:
        with pytest.raises(InputError, match="nobody churned"):
            cutpoint(data.assign(churned=False), "balance", **FEW)

    def test_sampling_weights(self, data: pd.DataFrame) -> None:
        with pytest.raises(InputError, match="takes no sampling weights"):
            cutpoint(data.assign(w=1.5), "balance", weights="w", weights_kind="sampling", **FEW)  # type: ignore[arg-type]

    def test_permutations_of_dependent_rows(self, data: pd.DataFrame) -> None:
        twice = data.assign(user=data.index // 2)
        with pytest.raises(InputError, match="those of one user belong together"):
            cutpoint(twice, "balance", cluster="user", p_value="permutation", **FEW)

    @pytest.mark.parametrize(
        ("way", "message"),
        [
            ({"min_share": 0.5}, "from 0 to below 0.5"),
            ({"p_value": "exact"}, "p_value must be one of 'asymptotic', 'permutation'"),
            ({"standardise": "logrank"}, "Did you mean 'log-rank'"),
            ({"p_value": "permutation", "standardise": "log-rank"}, "the log-rank variance is another one"),
            ({"adjust": "max-t"}, "pass p_value='permutation'"),
            ({"adjust": "holms"}, "Did you mean 'holm'"),
            ({"n_permutations": 10, "p_value": "permutation"}, "n_permutations must be a whole number, 99 or more"),
            ({"level": 95}, "level must lie between 0 and 1"),
        ],
    )
    def test_arguments_that_make_no_sense(self, data: pd.DataFrame, way: dict[str, object], message: str) -> None:
        with pytest.raises(InputError, match=message):
            cutpoint(data, "balance", **{**FEW, **way})

    def test_no_variable_and_two_of_the_same(self, data: pd.DataFrame) -> None:
        with pytest.raises(InputError, match="needs a variable"):
            cutpoint(data, [], **FEW)
        with pytest.raises(InputError, match="names a column twice"):
            cutpoint(data, ["balance", "balance"], **FEW)
        with pytest.raises(SchemaError, match="Did you mean 'balance'"):
            cutpoint(data, "balanc", **FEW)


def test_few_events_and_an_outermost_cut_are_said() -> None:
    few = cutpoint(table(60, 1), "noise", **FEW)
    assert any("events only; p-values from normal deviates are rough" in note for note in few.notes)
    edge = cutpoint(table(2000, 2, cut=30.0), "balance", min_share=0.2, **FEW)
    assert any("the outermost one that min_share=0.2 allows" in note for note in edge.notes)
    assert not any("outermost" in note for note in cutpoint(table(2000, 2), "balance", **FEW).notes)


def test_the_plot_takes_the_strongest_variable_or_the_one_asked_for(found: Cutpoint) -> None:
    from matplotlib.figure import Figure

    def said(**way: str) -> list[str]:
        return [text.get_text() for text in found.plot(Figure().add_subplot(), **way).texts]

    assert any("balance" in text for text in said())
    assert any("visits" in text for text in said(variable="visits"))
    with pytest.raises(InputError, match=r"no cut of 'visit'. Did you mean 'visits'\?"):
        found.plot(variable="visit")


def test_in_a_world_without_effects_no_cut_is_found_but_by_looking_ahead() -> None:
    """Features of a stated day, with users who enter idle_days later, say nothing; totals of the spell would."""
    events, users = world()
    log = ch.ActivityLog(events, users)
    spells = log.churn_spells(features=["n_investments", "max_amount", "balance"], baseline_day=30)
    honest = cutpoint(spells, ["n_investments", "max_amount", "balance"], bootstrap=0)
    assert honest.table["adjusted_p_value"].min() > 0.01
    gaps = log.gaps(features=["n_investments"])
    assert cutpoint(gaps, ["n_investments", "mean_interval"], bootstrap=0).table["adjusted_p_value"].min() > 0.01
    table = log.churn_spells().table.set_index("user_id")
    inside = events["event_at"] <= events["user_id"].map(table["end_date"])
    invested = events[inside & (events["kind"] == "invest")].groupby("user_id").size()
    ahead = table.assign(invested=invested.reindex(table.index).fillna(0))
    assert cutpoint(ahead, "invested", known_at="origin", entry="entry", bootstrap=0).table["p_value"].iloc[0] < 1e-20
