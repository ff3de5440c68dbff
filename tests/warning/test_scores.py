"""Score tiers: by hand, gap by gap, against the simulated app's own chances, and bad input."""

import json

import duckdb
import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.errors import InputError
from churnsurv.tables import schema
from churnsurv.warning import Capacity, Precision, Saving, TierScheme, Value, fit_tiers
from churnsurv.warning.score_lines import ScoreLines
from churnsurv.warning.score_search import fit_cut
from churnsurv.warning.score_training import gaps_for, scored
from churnsurv.warning.scores import CHANCE, OVER_WAITING, fit_score
from churnsurv.warning.tier_figures import tier_sums

from .small import log_of

FALLS = Saving.from_table({"idle_days": [0, 1, 2, 3], "s": [0.5, 0.5, 0.45, 0.1]})
#: Groups of 30 gaps: 20 of 30 end in churn where the score is 1, 5 of 30 where it is 0; the rest return on day 2 or 3.
TWO = [(10, [], 1.0), (6, [2], 1.0), (4, [3], 1.0), (1, [2, 2, 2, 2, 2, 3, 3], 0.0), (1, [2] * 9 + [3] * 9, 0.0)]
VALUE = Value(saved_value=100, contact_cost=5, saving=Saving.plateau(top=0.3, middle=20, width=3))
FORMULA = "I(balance < 100) + log1p(balance) + log1p(n_investments) + channel"


def by_score(log, objective, formula="group", **keywords):
    objective = objective if isinstance(objective, dict) else {"high": objective}
    return fit_tiers(log, objective=objective, family="score", formula=formula, **({"bootstrap": 0} | keywords))


@pytest.fixture(scope="module")
def app():
    return ch.simulate_app(2_500, seed=3, campaigns=())


@pytest.fixture(scope="module")
def scheme(app):
    objective = {"high": VALUE, "medium": Precision(target=0.45), "low": Capacity(per_day=2)}
    return by_score(app.log, objective, FORMULA, missing={"balance": 0}, until="2024-12-31", bootstrap=30)


# ---------------------------------------------------------------------------------------------------------- the score


def test_chances_of_a_saturated_fit_are_those_of_its_groups():
    """With hazards that are proportional in the data, S(I) / S(d) of each group are its shares."""
    # group 0: 8 of 16 return on day 2, then 4 of 8 on day 3; group 1: 12 of 16, then 3 of 4: hazards 1/2 and 3/4
    rows = [(0, 2, 8), (0, 3, 4), (0, 5, 4), (1, 2, 12), (1, 3, 3), (1, 5, 1)]
    gaps = pd.DataFrame([(group, day) for group, day, n in rows for _ in range(n)], columns=["x", "duration"])
    gaps["user_id"] = np.arange(len(gaps))
    score = fit_score("x", gaps, idle_days=4, worths={})
    risk = score.risk(pd.DataFrame({"x": [0, 1]}))
    # log(1 - 3/4) / log(1 - 1/2) = 2
    assert risk.tolist() == pytest.approx([0.0, np.log(2)], abs=1e-6)
    found = score.by_day(risk)[CHANCE]
    np.testing.assert_allclose(found, [[1 / 4, 1 / 4, 1 / 2, 1], [1 / 16, 1 / 16, 1 / 4, 1]], rtol=1e-6)
    assert score.chance(risk[[0, 0]], np.array([4.0, np.nan])).tolist() == pytest.approx([1.0, np.nan], nan_ok=True)


def test_value_over_waiting_by_hand():
    gaps = pd.DataFrame({"x": [0.0, 1.0] * 15, "duration": [5, 5] * 10 + [2, 2] * 3 + [3, 3] * 2})
    gaps["user_id"] = np.arange(len(gaps))
    worth = Value(saved_value=10, contact_cost=2, saving=FALLS)
    score = fit_score("x", gaps, idle_days=4, worths={OVER_WAITING: worth})
    found = score.by_day(score.risk(pd.DataFrame({"x": [0.0]})))
    # P(churn) is 2/3, 2/3, 20/24 and 1; v is 10 s P - 2
    value = np.array([5 * 2 / 3, 5 * 2 / 3, 4.5 * 20 / 24, 1.0]) - 2
    # waiting on day 2: nothing, as v(3) is below 0; on day 1: 24 of 30 are still silent on day 2; on day 0: until day 1
    waiting = np.array([max(value[1], 24 / 30 * value[2]), 24 / 30 * value[2], 0.0, 0.0])
    over = value - waiting
    # rules compare the highest from day 1 on; on the day of an activity there is none
    expected = [np.nan, over[1], over[1:3].max(), over[1:].max()]
    np.testing.assert_allclose(found[OVER_WAITING][0], expected, atol=1e-8)
    again = score.compared(score.risk(pd.DataFrame({"x": [0.0] * 5})), np.array([0.0, 1, 2, 3, 4]))
    np.testing.assert_allclose(again[OVER_WAITING], [*found[OVER_WAITING][0], np.nan])


def test_savings_known_from_idle_day_1_on_are_enough():
    """With day 0 in the table, too, the value over waiting of all days that can have an alert is the same."""
    gaps = pd.DataFrame({"x": [0.0, 1.0] * 15, "duration": [5, 5] * 10 + [2, 2] * 3 + [3, 3] * 2, "user_id": range(30)})
    late = Saving.from_table({"idle_days": [1, 2, 3], "s": [0.5, 0.45, 0.1]})
    worths = {name: Value(saved_value=10, contact_cost=2, saving=s) for name, s in (("late", late), ("all", FALLS))}
    score = fit_score("x", gaps, idle_days=4, worths=worths)
    found = score.by_day(np.array([0.0, 0.3]))
    assert np.isfinite(found["late"][:, 1:]).all()
    np.testing.assert_array_equal(found["late"], found["all"])


@pytest.mark.parametrize(
    ("formula", "known"),
    [
        ("bs(x, df=4)", [False, True, True, True, False]),
        ("bs(log2(`x`), df=4) + x", [False, True, True, True, False]),
        ("bs(x, df=4, extrapolation='clip')", [True] * 5),
        ("cs(x, df=4)", [True] * 5),
        ("log(x - 0.5)", [False, True, True, True, True]),
        ("poly(x, 2) + I(x / (x - 100.0))", [True, True, True, True, False]),
    ],
)
def test_what_a_formula_has_no_value_for_has_no_score(formula, known):
    rng = np.random.default_rng(2)
    gaps = pd.DataFrame({"x": np.tile(np.arange(1.0, 11.0), 30), "duration": rng.integers(1, 6, 300)})
    score = fit_score(formula, gaps.assign(user_id=range(300)), idle_days=4, worths={})
    asked = pd.DataFrame({"x": [0.5, 1.0, 4.5, 10.0, 100.0]})
    risk = score.risk(asked)
    assert np.isfinite(risk).tolist() == known
    np.testing.assert_allclose(risk[known], np.asarray(score.fit.risk(asked[known])), rtol=1e-12)
    assert np.isnan(score.risk(asked.assign(x=np.nan))).all()


def test_a_spline_goes_with_a_capacity_and_the_sql_says_what_assign_does():
    """Young gaps and later users have more active days than any gap of the fit."""
    log = ch.simulate_app(400, seed=4, campaigns=()).log
    scheme = by_score(log, Capacity(per_day=0.3), "bs(active_days, df=4)", until="2022-12-31")
    snapshot = log.snapshot("2023-06-01", features=scheme.features).table
    found = scheme.assign(snapshot)
    unknown = np.isnan(found.table[CHANCE].to_numpy())
    gaps = log.gaps(features=[]).table
    most = gaps.loc[gaps["start_date"] <= pd.Timestamp("2022-12-31") - pd.Timedelta(days=30), "active_days"].max()
    np.testing.assert_array_equal(unknown, snapshot["active_days"] > most)
    assert 0 < unknown.sum() == found.counts["missing"] < len(unknown)
    assert found.table["tier"][unknown].isna().all()
    assert found.in_tier["high"] > 0
    with duckdb.connect() as connection:
        connection.register("users", snapshot)
        told = connection.sql(scheme.to_sql("users", keep=["user_id"])).df().set_index("user_id")["tier"]
    tiers = found.table.set_index("user_id")["tier"].astype(object)
    assert tiers.fillna("none").to_dict() == told.fillna("none").to_dict()


def test_chances_equal_those_of_the_fit(scheme, app):
    snapshot = app.log.snapshot("2025-03-01", features=scheme.features).table.head(40)
    frame = scheme.filled(snapshot)
    survival = scheme.score.fit.survival(frame, np.arange(31)).values
    idle = frame["idle_days"].to_numpy()
    expected = survival[:, 30] / survival[np.arange(len(idle)), idle]
    got = scheme.assign(snapshot).table
    np.testing.assert_allclose(got[CHANCE], expected, rtol=1e-9)
    added = scheme.score.contributions(frame).sum(axis=1)
    risk = scheme.score.risk(frame)
    np.testing.assert_allclose(np.diff(added), np.diff(risk), atol=1e-9)


def test_the_score_is_near_the_true_chance(app, scheme):
    """Mean score and mean true chance in fifths of the score, on gaps that the fit has not seen."""
    gaps = app.truth.gaps
    late = ((gaps["start_date"] > "2024-12-31") & (gaps["start_date"] <= "2025-05-30")).to_numpy()
    survival = app.truth.gap_survival()[late]
    state = app.log.gaps(features=["balance", "n_investments"]).table[late]
    assert (state["user_id"].to_numpy() == gaps.loc[late, "user_id"].to_numpy()).all()
    risk = scheme.score.risk(scheme.filled(state))
    for day in (0, 5, 15):
        score, true = scheme.score.by_day(risk)[CHANCE][:, day], survival[:, 30] / survival[:, day]
        fifth = np.searchsorted(np.quantile(score, [0.2, 0.4, 0.6, 0.8]), score, side="right")
        told, are = (np.array([each[fifth == k].mean() for k in range(5)]) for each in (score, true))
        assert (np.diff(are) > -0.03).all()
        assert np.abs(told - are).max() < 0.12
        assert abs(score.mean() - true.mean()) < 0.06


# ----------------------------------------------------------------------------------------------------------- the cuts


def test_the_best_cut_by_hand():
    worth = Value(saved_value=10, contact_cost=3, saving=FALLS)
    log = log_of([(n, gaps, None) for n, gaps, _ in TWO])
    log = ch.ActivityLog(
        log_events(log), log_users(), rule=log.rule, observed_from="2024-01-01", observed_until="2024-03-01"
    )
    got = by_score(log, worth, blocks=10)
    row = got.table.iloc[0]
    table = gap_table(log)
    best = max(
        sum(
            worth_of(part, day)
            for part, day in zip((table[table.group == 0], table[table.group == 1]), days, strict=True)
        )
        for days in np.ndindex(4, 4)
    )
    # with two groups and a score that knows them, cuts on the value over waiting can reach what any days can
    assert row["value"] == pytest.approx(1000 * best / len(table))
    assert best > 0


def log_users():
    scores = [score for n, _, score in TWO for _ in range(n)]
    return pd.DataFrame({"user_id": range(len(scores)), "registered_at": "2024-01-01", "group": scores})


def log_events(log):
    table = log.gaps(features=[]).table
    table = table[table["gap"] > 1]
    return pd.DataFrame({"user_id": table["user_id"], "event_at": table["start_date"], "kind": "login"})


def gap_table(log):
    table = log.gaps(features=[]).table
    table = table[table["start_date"] <= "2024-02-26"]
    churned = ~table["returned"] | (table["duration"] > 4)
    return pd.DataFrame({"group": table["group"], "duration": table["duration"].where(~churned, 5)})


def worth_of(gaps, day):
    """What contacting a group on a day is worth; day 0: never."""
    if day == 0:
        return 0.0
    saves = 10 * FALLS.at([day])[0] * (gaps["duration"] == 5).sum()
    return saves - 3 * (gaps["duration"] > day).sum()


def test_figures_are_those_of_assigning_day_by_day(app, scheme):
    """First alerts of the training gaps, found by putting each gap's state into tiers on each idle day."""
    log = app.log.as_of("2024-12-31")
    gaps, _ = gaps_for(log, [*scheme.features, "channel"], scheme.missing)
    first = {name: np.full(len(gaps), 99) for name in ("high", "medium", "low")}
    for day in range(29, 0, -1):
        state = gaps.drop(columns="duration").assign(idle_days=day)
        tier = scheme.assign(state).table["tier"].astype(object).to_numpy()
        for name, days in first.items():
            days[(tier == name) & (gaps["duration"] > day).to_numpy()] = day
    for row in scheme.table.iloc[:2].itertuples():
        alerted = first[row.tier] < 99
        assert row.alerts == alerted.sum()
        assert row.precision == pytest.approx((gaps["duration"] == 31)[alerted].mean())
        days = (30 - first[row.tier])[alerted & (gaps["duration"] == 31).to_numpy()]
        assert row.lead_recall == pytest.approx(days.sum() / 30 / (gaps["duration"] == 31).sum())
    assert scheme.table["precision_lower"][1] <= scheme.table["precision"][1]
    # of a capacity not all of those in the tier are alerted
    last = scheme.table.iloc[2]
    assert 0 < last["alerts_per_day"] <= 2
    assert last["alerts"] <= (first["low"] < 99).sum()


@pytest.mark.parametrize("objective", [VALUE, Precision(target=0.5)])
def test_no_other_cut_is_better(app, objective):
    log = app.log.as_of("2023-12-31")
    table, window = gaps_for(log, ("channel",), {})
    score = fit_score("channel", table, idle_days=30, worths={OVER_WAITING: VALUE})
    gaps = scored(log, table, window, score, variables=("channel",), missing={}, blocks=50)
    name = OVER_WAITING if objective is VALUE else CHANCE
    until = np.full(gaps.risk.size, 30)
    until[0] = 6  # a higher tier takes over
    found = fit_cut(gaps, objective, name, until, np.zeros((0, 50)), level=0.95, rounded=False)
    values = np.unique(gaps.compared()[name])
    best = -np.inf
    for cut in [*values, (values[0] - 1)]:
        above = gaps.compared()[name] > cut
        day = np.where(above.any(axis=1), above.argmax(axis=1) + 1, 30)
        best = max(best, merit(gaps, objective, day, until))
    assert merit(gaps, objective, found.first_day, until) == pytest.approx(best)


def merit(gaps, objective, day, until):
    from churnsurv.numerics.precision_bound import lower_bounds

    sums = tier_sums(gaps.training, objective, day[gaps.pattern], until[gaps.pattern])
    if isinstance(objective, Value):
        return sums.value.sum()
    bound = lower_bounds(sums.right[:, None], sums.alerts[:, None], level=0.95)[0]
    return sums.lead.sum() if bound >= objective.target else -np.inf


def test_on_later_days_the_score_is_worth_no_less_than_the_rules(app, scheme):
    """Net benefit per 1,000 gaps that began after the last day of training, of the value tiers of both families."""
    rules = fit_tiers(app.log, objective={"high": VALUE}, missing={"balance": 0}, until="2024-12-31", bootstrap=0)
    table, _ = gaps_for(
        app.log, ("balance", "n_investments", "channel"), scheme.missing, pd.Timestamp("2025-01-01").date()
    )
    worth = {"score": later_value(scheme, table), "rules": later_value(rules, table)}
    case = np.where(table["balance"] < 100, 16, 30)
    assert worth["score"] > 0.97 * worth["rules"]
    assert worth["score"] > 1.1 * value_of(table, case)


def later_value(scheme, table):
    day = np.full(len(table), 30)
    for idle in range(29, 0, -1):
        tier = scheme.assign(table.drop(columns="duration").assign(idle_days=idle)).table["tier"]
        day[(tier == "high").to_numpy()] = idle
    return value_of(table, day)


def value_of(table, day):
    alerted = (day < 30) & (table["duration"] > day)
    saved = VALUE.saved_value * VALUE.saving.at(day) * (table["duration"] == 31)
    return 1000 * ((saved - VALUE.contact_cost) * alerted).sum() / len(table)


def test_rounding_costs_little_and_is_told(app):
    keywords = {"formula": "log1p(balance)", "missing": {"balance": 0}, "until": "2024-06-30"}
    plain, exact = (by_score(app.log, VALUE, **keywords, round=each) for each in (True, False))
    assert plain.table["value"][0] >= 0.99 * exact.table["value"][0]
    cuts = [each.tiers[0].rule.alternatives[0][0].threshold for each in (plain, exact)]
    assert len(f"{cuts[0]:g}") <= len(f"{cuts[1]:.12g}")
    assert plain.tiers[0].fitted == exact.tiers[0].rule


def test_no_seed_moves_a_limit(app):
    """Users have the block of their id, as in rules; a seed is for resamples alone."""
    keywords = {"objective": Precision(target=0.45), "formula": "log1p(balance)", "until": "2023-09-30", "blocks": 20}
    one = by_score(app.log, missing={"balance": 0}, seed=0, **keywords)
    other = by_score(app.log, missing={"balance": np.int64(0)}, seed=1, **keywords)
    assert 0 < one.table["precision_lower"][0] < one.table["precision"][0]
    assert one.table.equals(other.table)


def test_tables_and_bootstrap(scheme):
    for name, layout in (
        ("table", "tier_rules"),
        ("thresholds", "tier_thresholds"),
        ("sensitivity", "tier_sensitivity"),
    ):
        assert list(getattr(scheme, name).columns) == list(schema(layout).names)
    rows = scheme.thresholds
    assert rows["variable"].tolist() == [OVER_WAITING, CHANCE, CHANCE]
    assert (rows["range_lower"] <= rows["range_upper"]).all()
    assert (rows["form_frequency"] > 0.5).all()
    assert scheme.alternatives.empty
    assert scheme.sensitivity["saving"].tolist()[0] == "as stated"
    assert scheme.tiers[0].figures["value_optimism"] > -5


# ---------------------------------------------------------------------------------------------------- what it does


def test_it_comes_back_from_json(app, scheme, tmp_path):
    again = ch.load(scheme.save(tmp_path / "scheme.json"))
    assert isinstance(again, TierScheme)
    assert again.to_json() == scheme.to_json()
    snapshot = app.log.snapshot("2025-02-01", features=scheme.features)
    pd.testing.assert_frame_equal(again.assign(snapshot).table, scheme.assign(snapshot).table)
    whole = json.loads(scheme.to_json())
    whole["scheme"]["score"]["worths"][OVER_WAITING]["saved_value"] = -1
    with pytest.raises(InputError, match=r"scheme\.score cannot be read"):
        TierScheme.from_json(json.dumps(whole))


def test_explanations_tell_the_score_and_what_silence_leads_to(app, scheme):
    snapshot = app.log.snapshot("2025-02-01", features=scheme.features)
    table = scheme.assign(snapshot).table
    user = table[table["tier"].isna() & (table["idle_days"] < 5)].iloc[0]
    said = scheme.explain(snapshot, user["user_id"])
    assert f"The chance to churn is {user[CHANCE]:.0%}" in said.text
    assert "returns are so many times as frequent by" in said.text
    assert "the tier becomes" in said.text
    day = int(said.text.split("on idle day ")[1].split(",")[0])
    states = snapshot.table[snapshot.table["user_id"] == user["user_id"]]
    tiers = [scheme.assign(states.assign(idle_days=d)).table["tier"].isna()[0] for d in (day - 1, day)]
    assert tiers == [True, False]


def test_nobody_is_in_a_tier_who_is_active_or_gone_or_not_known(scheme):
    states = pd.DataFrame(
        {"user_id": range(5), "idle_days": [0, 30, 29, 29, None], "balance": [0.0, 0.0, 0.0, None, 0.0],
         "n_investments": [0, 0, 0, 0, 0], "channel": "organic"}
    )  # fmt: skip
    found = scheme.assign(states)
    assert found.table["tier"].notna().tolist() == [False, False, True, True, False]
    assert found.counts == {"rows": 5, "no_tier": 3, "churned": 1, "missing": 1}
    assert found.table[CHANCE][1] == 1.0
    gone = scheme.assign(states.assign(n_investments=[None, 1, 1, 1, 1]))
    assert np.isnan(gone.table[CHANCE][0])
    assert any("1 row without n_investments: no score" in note for note in gone.notes)


def test_alerts_may_come_from_idle_day_1_on_and_not_after_a_higher_tier():
    compared = {
        "a": np.array([[9.0, 1.0, 5.0, 6.0], [9.0, 5.0, 5.0, 6.0]]),
        "b": np.array([[9.0, 0, 0, 7.0], [9.0] * 4]),
    }
    lines = ScoreLines(gaps=None, compared=compared, urgency=compared["a"])
    assert lines.may("a", 4.0, []).tolist() == [[False, False, True, True], [False, True, True, True]]
    assert lines.may("a", 4.0, [("b", 5.0)]).tolist() == [[False, False, True, False], [False] * 4]


def test_young_gaps_with_what_the_fit_has_not_seen_stand_in_no_line():
    app = ch.simulate_app(200, seed=4, campaigns=())
    users = app.users.astype({"channel": str})
    last = users["registered_at"].max()
    new = users["registered_at"] > last - pd.Timedelta(days=5)
    assert 0 < new.sum() < 20
    until = (last + pd.Timedelta(days=1)).date()
    logs = [
        ch.ActivityLog(app.events, each, balances=app.balances, observed_until=until)
        for each in (users, users.assign(channel=users["channel"].where(~new, "elsewhere")))
    ]
    found = [by_score(log, Capacity(per_day=1), "channel") for log in logs]
    assert found[0].data_hash == found[1].data_hash
    assert found[0].tiers[0].rule == found[1].tiers[0].rule


def test_nothing_after_the_day_reaches_the_fit(app):
    keywords = {"objective": VALUE, "formula": "log1p(balance)", "missing": {"balance": 0}}
    one = by_score(app.log, until="2024-03-31", **keywords)
    other = by_score(app.log.as_of("2024-03-31"), **keywords)
    assert one.data_hash == other.data_hash
    assert one.to_json() == other.to_json()


# --------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"formula": None}, 'family="score" needs formula='),
        ({"formula": "chanel"}, "there is no 'chanel'.*channel"),
        ({"formula": "duration"}, "'duration' is no state of a user"),
        ({"formula": "registration_gap"}, "'registration_gap' is no state"),
        ({"formula": "tenure"}, "'tenure' changes while its user is silent"),
        ({"formula": "log1p(balance)"}, "'balance' has no value at the beginning of .* missing="),
        ({"missing": {"balanc": 0}}, "'balanc' is not in the formula"),
        ({"missing": {"channel": "x"}}, "the number that stands in"),
        ({"missing": {"channel": 1.0}}, "'channel' holds categories, for which no number can stand in"),
        ({"grids": {"balance": [1]}}, 'for family="rules"'),
        ({"family": "scores"}, "family is 'rules' or 'score'"),
        ({"family": "rules"}, 'is for family="score"'),
        ({"blocks": 1}, "blocks is a whole number"),
        ({"objective": {"high": Capacity(per_day=1e6)}}, "above the number of users"),
    ],
)
def test_bad_input(app, keywords, message):
    given = {"objective": {"high": Precision(target=0.5)}, "family": "score", "formula": "channel", "bootstrap": 0}
    with pytest.raises(InputError, match=message):
        fit_tiers(app.log, **(given | keywords))


def test_logs_without_churn_or_return():
    with pytest.raises(InputError, match="Nobody churned"):
        by_score(log_of([(5, [1] * 40, 1.0), (5, [2] * 27, 0.0)], until="2024-02-10"), Precision(target=0.5), "score")
    with pytest.raises(InputError, match="Nobody returned"):
        by_score(log_of([(5, [50], 1.0), (5, [], 0.0)]), Precision(target=0.5), "score")


def test_tiers_that_come_out_empty_say_what_is_near(app):
    keywords = {"formula": "channel", "until": "2024-06-30"}
    got = by_score(app.log, {"high": Precision(target=0.999)}, **keywords)
    assert str(got.tiers[0].rule) == "contact nobody"
    assert any("The nearest target that is met is about 0." in note for note in got.notes)
    cheap = Value(saved_value=1, contact_cost=50, saving=Saving.linear())
    got = by_score(app.log, {"high": cheap}, **keywords)
    assert any("contacting nobody is best" in note for note in got.notes)
    for ask in (got.bands, got.plot):
        with pytest.raises(InputError, match="cuts of a score"):
            ask()
