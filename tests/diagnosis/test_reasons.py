"""Reasons of churn: planted shares under answers that depend on channel and tenure, by hand where that can be."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import churnsurv as ch
from churnsurv.data import ActivityLog
from churnsurv.diagnosis import ChurnReasons, churn_reasons
from churnsurv.diagnosis.reasons_answers import agreement, chosen, read_mapping
from churnsurv.errors import InputError, SchemaError
from churnsurv.plots import reason_shares, reason_shares_frame
from churnsurv.tables import schema
from tests.slow.reasons import chance_to_answer, true_answers

START = pd.Timestamp("2024-01-01")


def tiny(rows: list[tuple[int, int, str]], **settings: object) -> ChurnReasons:
    """Ten users who register on day 0, are active on day 5 and never again, and their answers."""
    users = pd.DataFrame({"user_id": range(10), "registered_at": START, "channel": ["a"] * 5 + ["b"] * 5})
    events = pd.DataFrame({"user_id": range(10), "event_at": START + pd.Timedelta(days=5), "kind": "login"})
    feedback = pd.DataFrame(
        [(user, START + pd.Timedelta(days=day), why) for user, day, why in rows], columns=["user_id", "date", "reason"]
    )
    log = ActivityLog(events, users, feedback=feedback, observed_until="2024-04-30")
    return churn_reasons(log, **{"models": False, **settings})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def planted() -> SimpleNamespace:
    """The app with the true reasons, of which those are told that a chance by channel and tenure lets be told."""
    app = ch.simulate_app(1_500, seed=8)
    everybody = true_answers(app)
    whole = churn_reasons(app.log, feedback=everybody, models=False, weights_on=())
    spells = app.log.churn_spells().table.assign(tenure=lambda rows: (rows["last_activity"] - rows["origin"]).dt.days)
    first = spells.loc[spells["churned"], ["user_id", "last_activity", "channel", "tenure"]]
    told = everybody.assign(last_activity=everybody["date"] - pd.Timedelta(days=31))
    told = told.merge(first, on=["user_id", "last_activity"], how="inner")
    kept = told[np.random.default_rng(1).random(len(told)) < chance_to_answer(told)]
    answers = kept[["user_id", "date", "reason"]]
    return SimpleNamespace(app=app, whole=whole, answers=answers, found=churn_reasons(app.log, feedback=answers))


def test_weighted_limits_hold_what_was_planted(planted: SimpleNamespace) -> None:
    truth = planted.whole.table.set_index("reason")["share"]
    table = planted.found.table.set_index("reason")
    assert ((table["weighted_lower"] < truth) & (truth < table["weighted_upper"])).all()


def test_bounds_hold_the_shares_of_all_churns(planted: SimpleNamespace) -> None:
    whole, table = planted.whole, planted.found.table.set_index("reason")
    own = whole.table.set_index("reason")["n"] / whole.counts["churns"]
    assert whole.counts["churns"] == planted.found.counts["churns"]
    assert ((table["bound_lower"] <= own) & (own <= table["bound_upper"])).all()
    assert (table["bound_limit_lower"] <= table["bound_lower"]).all()
    assert (table["bound_limit_upper"] >= table["bound_upper"]).all()


def test_weighted_incidence_holds_the_one_with_every_reason_known(planted: SimpleNamespace) -> None:
    found = planted.found
    weighted = found.weighted_incidence
    end = weighted[weighted["time"] <= 365].groupby("cause").last()
    truth = planted.whole.incidence.at(365).set_index("cause")["incidence"].drop("unknown")
    truth = truth / truth.sum() * end["incidence"].sum()  # a few were only slow to come back: they have no reason
    assert ((end["lower"] < truth) & (truth < end["upper"])).all()
    all_churned = found.incidence.at(365)["incidence"].sum()
    assert end["incidence"].sum() == pytest.approx(all_churned, rel=1e-9)
    assert found.incidence.causes[-1] == "unknown"


def test_the_model_of_who_answers_finds_what_was_planted(planted: SimpleNamespace) -> None:
    response = planted.found.response.set_index("term")
    assert response.loc["channel: distribution", "upper"] < 1
    assert planted.found.weights_on == ("channel", "tenure", "stage", "n_investments")
    overlap = planted.found.overlap.iloc[0]
    assert overlap["n_answered"] == planted.found.counts["known"]
    assert 0 < overlap["lowest"] < overlap["median"] < overlap["highest"] < 1
    assert overlap["n_effective"] < overlap["n_answered"]
    mine = planted.found.answers.query("status == 'counts'")
    np.testing.assert_allclose(mine["weight"] * mine["chance"], 1)
    assert mine["weight"].sum() == pytest.approx(planted.found.counts["churns"], rel=0.1)


def test_models_are_fitted_by_reason_and_adjusted_together(planted: SimpleNamespace) -> None:
    found, table = planted.found, planted.found.model_table
    assert set(found.models) == set(found.reasons) == set(found.later_models)
    cox, fine_gray = found.models["frustrated"]
    assert cox.formula == "channel"
    assert cox.weights == "weight" == fine_gray.weights
    assert set(table["since"]) == {0, 60}
    assert set(table.loc[table["since"] == 60, "variable"]) >= {"channel", "stage"}
    assert (table["adjusted_p_value"] >= table["p_value"]).all()
    assert table["adjusted_p_value"].min() == pytest.approx(min(1, table["p_value"].min() * len(table)))
    # users of the distribution channel leave frustrated at once, and hardly ever say so: weights make up for that
    row = table.query("reason == 'frustrated' and model == 'cox' and since == 0 and category == 'distribution'").iloc[0]
    whole = churn_reasons(planted.app.log, feedback=true_answers(planted.app), weights_on=(), models="channel")
    full = whole.models["frustrated"][0].table.set_index("category")["hazard_ratio"]["distribution"]
    assert row["hr_lower"] < full < row["hr_upper"]


def test_tables_have_their_layouts_and_the_result_is_plain_data(planted: SimpleNamespace) -> None:
    found = planted.found
    layouts = {
        "churn_reasons": found.table, "weighted_incidence": found.weighted_incidence,
        "reason_response": found.response, "reason_overlap": found.overlap, "reason_answers": found.answers,
        "reasons_apart": found.apart, "reason_codes": found.unmapped, "reason_agreement": found.agreement,
        "reason_models": found.model_table,
    }  # fmt: skip
    for name, table in layouts.items():
        assert tuple(table.columns) == schema(name).names
    plain = json.loads(found.to_json())
    assert plain["facts"]["counts"]["known"] == found.counts["known"]
    assert "weighted: " in repr(found)
    assert found.counts["silent"] == found.counts["churns"] - found.counts["known"]


def test_groups_are_those_of_the_rows(planted: SimpleNamespace) -> None:
    found = churn_reasons(planted.app.log, feedback=planted.answers, by=["channel", "stage"], models=False)
    one = found.table.query("channel == 'organic' and stage == 'new'")
    assert one["group"].unique().tolist() == ["organic | new"]
    assert found.incidence.groups == ("advertising", "distribution", "invitation", "organic", "wealth_supermarket")
    assert any("Incidences are not split by stage" in note for note in found.notes)
    assert found.table["n"].sum() == found.counts["known"]
    assert set(found.weighted_incidence["channel"]) == set(found.incidence.groups)


def test_all_spells_have_errors_by_user(planted: SimpleNamespace) -> None:
    found = churn_reasons(planted.app.log, feedback=true_answers(planted.app), spells="all", models=False)
    assert found.counts["churns"] > planted.whole.counts["churns"]
    assert found.incidence.cluster == "user_id"
    assert not found.table.isna().any().any()


def test_shares_bounds_and_counts_by_hand() -> None:
    found = tiny([(0, 40, "x"), (1, 40, "x"), (2, 40, "x"), (3, 40, "y"), (3, 50, "x"), (4, 66, "x"), (7, 5, "y")])
    table = found.table.set_index("reason")
    assert table["n"].to_dict() == {"x": 3, "y": 1}
    assert table["share"].tolist() == [0.75, 0.25]
    assert table["weighted_share"].tolist() == [0.75, 0.25]  # too few for a model
    np.testing.assert_allclose(table[["bound_lower", "bound_upper"]], [[0.3, 0.9], [0.1, 0.7]])
    apart = found.apart.set_index("status")["n"]
    assert apart[apart > 0].to_dict() == {"not_churned": 1, "too_late": 1, "later_answer": 1}
    assert any("too few" in note for note in found.notes)
    at = found.incidence.at(35).set_index("cause")["incidence"].to_dict()
    assert at == pytest.approx({"x": 0.3, "y": 0.1, "unknown": 0.6})
    last = found.weighted_incidence.groupby("cause")["incidence"].last().to_dict()
    assert last == pytest.approx({"x": 0.75, "y": 0.25})


def test_codes_are_mapped_and_unmapped_ones_are_listed() -> None:
    rows = [(0, 40, "crash"), (1, 40, "lag"), (2, 40, "other"), (2, 45, "house"), (3, 40, "no idea")]
    found = tiny(
        rows, mapping={"house": "rigid", "crash": "frustrated", "lag": "frustrated", "no idea": None, "z": "z"}
    )
    assert found.reasons == ("rigid", "frustrated")
    assert found.table.set_index("reason")["n"].to_dict() == {"rigid": 1, "frustrated": 2}
    assert found.unmapped.set_index("code")["n"].to_dict() == {"no idea": 1, "other": 1}
    assert found.counts["no_reason"] == 2
    assert found.counts["known"] == 3
    assert any("codes that nobody gave: 'z'" in note for note in found.notes)
    table = pd.DataFrame({"code": ["crash"], "reason": ["frustrated"]})
    assert tiny(rows, mapping=table).counts["known"] == 1


def test_within_moves_what_counts_and_what_is_looked_at() -> None:
    assert tiny([(4, 66, "x"), (5, 36, "x")], within=31).counts["known"] == 2
    assert tiny([(4, 66, "x"), (5, 36, "x")], within=1).counts["known"] == 1
    with pytest.raises(InputError, match="Nobody churned early enough"):
        tiny([(4, 66, "x")], within=90)


@pytest.mark.parametrize(
    ("settings", "error", "match"),
    [
        ({"mapping": {"x": "unknown"}}, InputError, "Map 'x' to None"),
        ({"mapping": {"y": "z"}}, InputError, "None of 10 churns has a reason"),
        ({"mapping": "x"}, InputError, "give a mapping or a table"),
        ({"mapping": pd.DataFrame({"a": [1], "b": [2], "c": [3]})}, SchemaError, "code and reason"),
        ({"by": "chanel"}, InputError, "Did you mean 'channel'"),
        ({"weights_on": "tenur"}, InputError, "Did you mean 'tenure'"),
        ({"spells": "last"}, InputError, "spells is 'first' or 'all'"),
        ({"adjust": "hlm"}, InputError, "Did you mean 'holm'"),
        ({"models": 3}, InputError, "models is True, False, or a formula"),
        ({"horizon": 20}, InputError, "nobody churned by day 20"),
    ],
)
def test_what_is_not_understood_says_what_to_do(settings: dict[str, object], error: type, match: str) -> None:
    with pytest.raises(error, match=match):
        tiny([(0, 40, "x")], **settings)


def test_two_reasons_for_one_code_are_refused() -> None:
    with pytest.raises(InputError, match="Give each code one reason"):
        read_mapping(pd.DataFrame({"code": ["a", "a"], "reason": ["x", "y"]}))


def test_agreement_of_several_answers_by_hand() -> None:
    """Churn 0: x x; 1: x y; 2: x x y, one of three pairs; 3 has one answer. Kappa of the first two: x x, x y, x x."""
    answers = pd.DataFrame(
        {
            "user_id": [0, 0, 1, 1, 2, 2, 2, 3],
            "answered_on": START,
            "code": list("xxxyxxyx"),
            "route": None,
            "spell": 1,
            "place": [0, 0, 1, 1, 2, 2, 2, 3],
            "status": "counts",
        }
    )
    reasons = chosen(answers, None)
    assert reasons.answers["status"].tolist() == [
        "counts", "later_answer", "counts", "later_answer", "counts", "later_answer", "later_answer", "counts",
    ]  # fmt: skip
    found = agreement(reasons.answers, level=0.95).set_index("measure")
    assert found.loc["agreement", "estimate"] == pytest.approx((1 + 0 + 1 / 3) / 3)
    assert found.loc["agreement", "n"] == 3
    assert found.loc["kappa", "estimate"] == pytest.approx(0.0)
    assert agreement(reasons.answers[reasons.answers["place"] == 3], level=0.95).empty


def test_a_category_in_which_nobody_answers_is_named() -> None:
    users = pd.DataFrame({"user_id": range(120), "registered_at": START, "channel": ["a"] * 60 + ["b"] * 60})
    events = pd.DataFrame({"user_id": range(120), "event_at": START + pd.Timedelta(days=5), "kind": "login"})
    feedback = pd.DataFrame(
        {"user_id": range(0, 60, 2), "date": START + pd.Timedelta(days=40), "reason": ["x", "y"] * 15}
    )
    log = ActivityLog(events, users, feedback=feedback, observed_until="2024-04-30")
    found = churn_reasons(log, models=False)
    assert any("hardly anybody answered of b (0 of 60)" in note for note in found.notes)
    assert found.table["weighted_share"].tolist() == [0.5, 0.5]


def test_every_kind_of_plot_draws_its_table(planted: SimpleNamespace) -> None:
    found = planted.found
    for kind in ("incidence", "weighted", "shares"):
        ax = found.plot(Figure().add_subplot(), kind=kind)
        said = [text.get_text() for text in ax.texts]
        assert set(found.reasons) <= set(said)
        assert ("unknown" in said) == (kind == "incidence")
    for width in (700.0, 330.0):
        ax = reason_shares(found.table, reason_shares_frame(found.table, width).place(Figure()))
        said = [text.get_text() for text in ax.texts]
        row = found.table.sort_values("weighted_share").iloc[-1]
        number = f"{100 * row['weighted_share']:.1f}% ({100 * row['weighted_lower']:.1f}"
        assert any(text.startswith(number) for text in said)
        squares = [
            float(line.get_xdata()[0]) for line in ax.lines if line.get_marker() == "s" and line.get_zorder() > 3
        ]
        assert sorted(squares) == pytest.approx(sorted(found.table["weighted_share"]))
    with pytest.raises(InputError, match="kind must be one of"):
        found.plot(kind="bars")
    with pytest.raises(InputError, match="no group 'b'"):
        reason_shares(found.table, Figure().add_subplot(), group="b")
