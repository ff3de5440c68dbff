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
from churnsurv.diagnosis.reasons_response import response_model
from churnsurv.diagnosis.reasons_words import outside
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
    return churn_reasons(log, **{"models": False, **settings})


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
    found = tiny([(0, 40, "x"), (1, 40, "x"), (2, 40, "x"), (3, 40, "y"), (3, 50, "x"), (4, 66, "x"), (7, 4, "y")])
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
            "moment": START,
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


def asked(told: dict[int, str], **attributes: object) -> ActivityLog:
    """Four hundred users who register on day 0, are active on day 5 and never again; some tell why on day 40."""
    users = pd.DataFrame({"user_id": range(400), "registered_at": START, **attributes})
    events = pd.DataFrame({"user_id": range(400), "event_at": START + pd.Timedelta(days=5), "kind": "login"})
    feedback = pd.DataFrame(
        [(user, START + pd.Timedelta(days=40), why) for user, why in told.items()],
        columns=["user_id", "date", "reason"],
    )
    return ActivityLog(events, users, feedback=feedback, observed_until="2024-04-30")


def weighted(log: ActivityLog, on: str | list[str]) -> tuple[dict[str, float], ChurnReasons]:
    found = churn_reasons(log, weights_on=on, models=False)
    return found.table.set_index("reason")["weighted_share"].to_dict(), found


USER = np.arange(400)


@pytest.mark.parametrize("silent", [0, 4])
def test_a_channel_that_nearly_always_answers_speaks_for_itself_alone(silent: int) -> None:
    """A hundred say y, but for the silent; of the other three hundred fifty say x: y is a quarter of all."""
    told = {**dict.fromkeys(range(100 - silent), "y"), **dict.fromkeys(range(100, 150), "x")}
    shares, found = weighted(asked(told, channel=np.where(USER < 100, "vip", "other")), "channel")
    assert shares == pytest.approx({"x": 0.75, "y": 0.25})
    assert found.weights_on == ("channel",)
    assert any("everybody answered of vip (100)" in note for note in found.notes) == (silent == 0)
    row = found.table.set_index("reason").loc["y"]
    assert 0.2 < row["weighted_lower"] < 0.25 < row["weighted_upper"] < 0.3


@pytest.mark.parametrize("silent", [0, 1, 4, 5])
@pytest.mark.parametrize("values", [np.where(USER < 100, "vip", "other"), USER < 100, np.where(USER < 100, np.nan, 7)])
def test_chances_are_those_of_the_cells(silent: int, values: np.ndarray) -> None:
    answered = (USER + silent < 100) | ((USER >= 100) & (USER < 150))
    found = response_model(pd.DataFrame({"x": values}), answered, ["x"], cluster=USER // 2, level=0.95)
    np.testing.assert_allclose(found.units.chance[[0, 399]], [1 - silent / 100, 1 / 6], rtol=1e-9)
    assert len(found.table) == (silent > 0)


def test_what_everybody_tells_leaves_the_other_chances_as_they_are() -> None:
    """The fit beside a category with a chance of 1 is that of the others: 1/5 of b and 1/3 of c answer."""
    channel = np.where(USER < 100, "vip", np.where(USER < 250, "b", "c"))
    told = {
        **dict.fromkeys(range(100), "y"),
        **dict.fromkeys(range(100, 130), "x"),
        **dict.fromkeys(range(250, 300), "z"),
    }
    shares, found = weighted(asked(told, channel=channel), "channel")
    assert shares == pytest.approx({"x": 0.375, "y": 0.25, "z": 0.375})
    assert found.response["odds_ratio"].tolist() == pytest.approx([2.0])
    plot = found.weighted_incidence.groupby("cause")["incidence"].last().to_dict()
    assert plot == pytest.approx(shares)


def test_nearly_silent_ones_go_with_those_who_always_answer_and_a_note_says_so() -> None:
    told = {**dict.fromkeys(range(100), "y"), **dict.fromkeys(range(100, 103), "x")}
    shares, found = weighted(asked(told, channel=np.where(USER < 100, "vip", "other")), "channel")
    assert shares["y"] == pytest.approx(100 / 103)
    assert found.weights_on == ()
    assert any("hardly anybody answered of other (3 of 300)" in note for note in found.notes)
    assert not any("everybody answered" in note for note in found.notes)


def test_one_missing_or_infinite_number_does_not_take_the_weights_away() -> None:
    young = (USER * 7 % 10) < 4
    age = np.where(young, 30.0, 50.0)
    told = {int(i): "y" if young[i] else "x" for i in USER[1:] if i % (5 if young[i] else 2) == 0}
    right, _ = weighted(asked(told, age=age), "age")
    assert right["y"] == pytest.approx(0.4, abs=0.03)
    for missing in (np.nan, np.inf):
        shares, found = weighted(asked(told, age=np.where(USER == 0, missing, age)), "age")
        assert shares == pytest.approx(right, abs=0.01)
        assert any("age: 1 numbers are missing or infinite, with 0 answers" in note for note in found.notes)


def test_a_term_without_a_finite_coefficient_is_left_out_alone() -> None:
    """All with a number above 20 answer, and nobody else of a: the number goes, the channel stays."""
    channel = np.where(USER < 200, "a", "b")
    number = np.where((USER < 40) | (USER % 4 == 0), 90.0 + USER % 7, 1.0 + USER % 5)
    told = {int(i): "x" if i < 200 else "y" for i in USER if number[i] > 20}
    shares, found = weighted(asked(told, channel=channel, number=number), ["channel", "number"])
    assert any("no finite fit with it: number" in note for note in found.notes)
    assert found.weights_on == ("channel",)
    assert shares == pytest.approx({"x": 0.5, "y": 0.5})


@pytest.fixture(scope="module")
def random_answers() -> ActivityLog:
    """Users who leave after up to 120 days; reasons by lot, so that nothing goes with them."""
    rng = np.random.default_rng(0)
    n, last = 300, rng.integers(0, 120, 300)
    users = pd.DataFrame({"user_id": range(n), "registered_at": START, "channel": rng.choice(["a", "b"], n)})
    users = users.assign(weight=np.where(users["channel"] == "a", 5.0, 6.0), n=1, group=users["channel"])
    rows = [(i, START + pd.Timedelta(days=d), "invest" if d % 9 == 3 else "login") for i in range(n)
            for d in range(0, int(last[i]) + 1, 3)]  # fmt: skip
    events = pd.DataFrame(rows, columns=["user_id", "event_at", "kind"])
    date = START + pd.to_timedelta(last + 32, "D")
    feedback = pd.DataFrame({"user_id": range(n), "date": date, "reason": rng.choice(["x", "y"], n)})
    return ActivityLog(events, users, feedback=feedback[rng.random(n) < 0.6], observed_until="2024-12-31")


@pytest.mark.parametrize(
    ("formula", "match"),
    [
        ("n_investments", "'n_investments' is known on the day of churn"),
        ("channel + log1p(tenure)", "'tenure' is known on the day of churn"),
        ("duration", "'duration' is known on the day of churn"),
        ("place", "'place' is known on the day of churn"),
        ("chanel", "no 'chanel'. Did you mean 'channel'"),
        ("channel +", "cannot be read"),
        ("", "names no covariates"),
        ("log(channel)", "channel"),
    ],
)
def test_a_formula_of_what_is_not_known_at_the_origin_is_refused(
    random_answers: ActivityLog, formula: str, match: str
) -> None:
    with pytest.raises(InputError, match=match):
        churn_reasons(random_answers, models=formula, weights_on="channel")


def test_an_attribute_called_weight_is_no_weight(random_answers: ActivityLog) -> None:
    own, other = (churn_reasons(random_answers, models=name, weights_on="channel") for name in ("weight", "channel"))
    first, second = (each.models["x"][0] for each in (own, other))
    assert first.table["hazard_ratio"].item() == pytest.approx(second.table["hazard_ratio"].item(), rel=1e-6)
    assert first.weights == "_weight"


def test_by_does_not_take_the_place_of_a_column(random_answers: ActivityLog) -> None:
    with pytest.raises(InputError, match="'n' is also the name of a column of the result"):
        churn_reasons(random_answers, by="n", models=False)
    found = churn_reasons(random_answers, by="group", models=False)
    assert found.table["group"].unique().tolist() == ["a", "b"]
    first = found.overlap.iloc[0]
    assert f"a: {first['n']} churns, {first['n_answered']} with a reason" in repr(found)
    assert "1 more group" in repr(found)


def test_of_several_answers_of_a_day_the_earliest_counts() -> None:
    rows = [(0, 40.9, "a"), (0, 40.4, "z"), (1, 40, "b"), (1, 40, "a"), (1, 40, "a"), (2, 40, "b"), (2, 40, "b")]
    found = tiny(rows, mapping={"a": "rigid", "z": "natural", "b": "policy"})  # type: ignore[arg-type]
    assert found.table.set_index("reason")["n"].to_dict() == {"rigid": 1, "natural": 1, "policy": 1}
    assert (found.counts["tied_answers"], found.counts["equal_feedback"]) == (1, 2)
    assert any("1 churns have several reasons told at the same time" in note for note in found.notes)
    assert any("2 rows of the feedback are equal to another" in note for note in found.notes)
    assert found.agreement["n"].tolist() == [2, 2]  # what is given twice is no second answer


def test_codes_that_are_whole_numbers_meet_whatever_their_type() -> None:
    rows = [(0, 40, 1), (1, 40, 2), (2, 40, None)]
    table = pd.DataFrame({"code": [1, 2, None], "reason": pd.array(["p", pd.NA, "q"], dtype="string")})
    for mapping in ({1.0: "p", 2: None}, {"1": "p"}, table):
        found = tiny(rows, mapping=mapping)  # type: ignore[arg-type]
        assert found.reasons == ("p",)
        assert found.unmapped["code"].tolist() == ["2"]
    with pytest.raises(InputError, match=r"Codes without a reason: '1' \(1\), '2' \(1\). Codes .* nobody gave: 'one'"):
        tiny(rows, mapping={"one": "p"})  # type: ignore[arg-type]


def test_a_weighted_share_that_cannot_be_is_named() -> None:
    """Of ten churns three said x: two cannot be the share of all, whatever the weights."""
    table = pd.DataFrame(
        {"group": "all", "reason": ["x", "y"], "weighted_share": [0.2, 0.8], "bound_lower": [0.3, 0.6],
         "bound_upper": [0.4, 0.9]}
    )  # fmt: skip
    assert [note[:62] for note in outside(table)] == ["Weighted shares outside of their bounds: x 20.0%. The share of"]
    assert outside(table[1:]) == []


def test_a_group_that_nobody_left_has_curves_of_zero() -> None:
    users = pd.DataFrame({"user_id": range(20), "registered_at": START, "channel": ["a"] * 10 + ["b"] * 10})
    active = [(user, day) for user in range(20) for day in range(5, 120 if user >= 10 else 6, 20)]
    events = pd.DataFrame(active, columns=["user_id", "day"])
    events = events.assign(event_at=START + pd.to_timedelta(events["day"], "D"), kind="login")
    feedback = pd.DataFrame({"user_id": [0, 1], "date": START + pd.Timedelta(days=40), "reason": ["x", "y"]})
    log = ActivityLog(events.drop(columns="day"), users, feedback=feedback, observed_until="2024-04-30")
    found = churn_reasons(log, by="channel", models=False)
    mine = found.weighted_incidence.query("group == 'b'")
    assert set(mine["cause"]) == {"x", "y"}
    assert (mine["incidence"] == 0).all()
    for kind in ("incidence", "weighted"):
        found.plot(Figure().add_subplot(), kind=kind, group="b")


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
