"""Tiers of a score that is given: against every cut gap by gap, against the same score from a fit, and bad input."""

import json

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.errors import InputError, SchemaError
from churnsurv.numerics.precision_bound import lower_bounds
from churnsurv.tables import schema
from churnsurv.warning import Capacity, Precision, Saving, TierScheme, Value, fit_tiers
from churnsurv.warning.given_score import GivenScore
from churnsurv.warning.score_training import gaps_for
from churnsurv.warning.scores import CHANCE
from tests.data.test_score_days import IDLE, day_by_day, log_and_scores

VALUE = Value(
    saved_value=10, contact_cost=2.0, saving=Saving.from_table({"idle_days": [0, 2, 5], "s": [0.5, 0.4, 0.1]})
)
GOALS = {"high": Capacity(per_day=0.5), "medium": Precision(target=0.65), "low": VALUE}


def by_score(log, score, objective, **keywords):
    objective = objective if isinstance(objective, dict) else {"high": objective}
    return fit_tiers(log, objective=objective, family="score", score=score, **({"bootstrap": 0} | keywords))


@pytest.fixture(scope="module")
def small():
    log, scored = log_and_scores(5, n_users=60)
    # a score that is told of churn: higher by 1 in the gaps that end in it
    gaps = log.gaps(features=[]).table
    gone = gaps[~gaps["returned"] | (gaps["duration"] > IDLE)]
    pairs = scored.reset_index().merge(gone[["user_id", "start_date"]], on="user_id")
    told = pairs[(pairs["date"] - pairs["start_date"]).dt.days.between(0, IDLE)]["index"]
    scored.loc[told, "score"] = (scored.loc[told, "score"] + 1).round(1)
    return log, scored, day_by_day(log, scored)


@pytest.fixture(scope="module")
def scheme(small):
    log, scored, _ = small
    return by_score(log, scored, GOALS, bootstrap=40)


def alerted(gaps, cut, until):
    """First idle day on which the score of each gap is above a cut; IDLE for never, or once a higher tier has it."""
    days = []
    for gap, taken in zip(gaps, until, strict=True):
        above = (day for day, score in gap["scores"].items() if score is not None and score > cut)
        days.append(min(next(above, IDLE), IDLE))
        if days[-1] >= taken:
            days[-1] = IDLE
    return np.array(days)


def figures_of(gaps, day, objective):
    churned = np.array([gap["duration"] > IDLE for gap in gaps])
    there = day < IDLE
    lead = ((IDLE - day) * (there & churned)).sum() / IDLE
    saved = 10 * VALUE.saving.at(np.minimum(day, 5)) * churned
    value = ((saved - 2.0) * there).sum()
    return {"alerts": int(there.sum()), "hits": int((there & churned).sum()), "lead": lead, "value": value,
            "churned": int(churned.sum())}  # fmt: skip


@pytest.mark.parametrize("objective", [VALUE, GOALS["medium"]])
def test_no_other_cut_is_better(small, objective):
    log, scored, gaps = small
    fitted = by_score(log, scored, objective, round=False)
    assert fitted.blocks == 60  # each user is a block
    got = fitted.table.iloc[0]
    values = sorted({score for gap in gaps for score in gap["scores"].values() if score is not None})
    users = log.gaps(features=[]).table
    users = users[users["start_date"] <= pd.Timestamp(log.observed_until) - pd.Timedelta(days=IDLE)]["user_id"]
    best = 0.0
    for cut in [values[0] - 1, *values]:
        day = alerted(gaps, cut, [IDLE] * len(gaps))
        told = figures_of(gaps, day, objective)
        if isinstance(objective, Value):
            best = max(best, told["value"])
            continue
        hits = np.bincount(users, (day < IDLE) & [gap["duration"] > IDLE for gap in gaps], 60)
        bound = lower_bounds(hits[:, None], np.bincount(users, day < IDLE, 60)[:, None], level=0.95)[0]
        fine = told["alerts"] > 0 and bound >= objective.target
        best = max(best, told["lead"] if fine else 0.0)
    assert best > 0
    if isinstance(objective, Value):
        assert got["value"] == pytest.approx(1000 * best / len(gaps))
    else:
        assert got["lead_recall"] == pytest.approx(best / told["churned"])


def test_figures_are_those_of_assigning_day_by_day(small, scheme):
    """Tiers have no memory; a gap counts on the first day in one, if no higher tier had it by then."""
    _, _, gaps = small
    first = {name: np.full(len(gaps), IDLE) for name in GOALS}
    for day in range(IDLE - 1, 0, -1):
        state = pd.DataFrame({"user_id": range(len(gaps)), "idle_days": day})
        state["score"] = [gap["scores"].get(day) for gap in gaps]
        tier = scheme.assign(state.astype({"score": float})).table["tier"].astype(object)
        for name, days in first.items():
            days[(tier == name).to_numpy()] = day
    taken = np.full(len(gaps), IDLE)
    for name in GOALS:
        row = scheme.table.set_index("tier").loc[name]
        day = np.where(first[name] < taken, first[name], IDLE)
        taken = np.minimum(taken, first[name])
        if isinstance(GOALS[name], Capacity):
            continue
        told = figures_of(gaps, day, GOALS[name])
        assert row["alerts"] == told["alerts"]
        assert row["precision"] == pytest.approx(told["hits"] / told["alerts"])
        assert row["lead_recall"] == pytest.approx(told["lead"] / told["churned"])


def in_lines(gaps, cut, per_day, until):
    """First alerts if only the highest scores of each day are worked off; by day, gap by gap."""
    day, first = np.full(len(gaps), IDLE), min(gap["start"] for gap in gaps)
    for today in pd.date_range(first, first + pd.Timedelta(days=90)):
        waiting = []
        for place, gap in enumerate(gaps):
            idle = (today - gap["start"]).days
            score = gap["scores"].get(idle)
            if score is not None and score > cut and day[place] == IDLE and idle < until[place]:
                waiting.append((score, place, idle))
        for _, place, idle in sorted(waiting, reverse=True)[:per_day]:
            day[place] = idle
    return day


@pytest.mark.parametrize("per_day", [2])
def test_capacities_are_kept_on_each_day(small, per_day):
    """No two scores are equal, so that no lots are drawn; gaps too young to be judged stand in line as well."""
    log, scored, _ = small
    scored = scored.assign(score=scored["score"] + np.arange(len(scored)) * 1e-6)
    every = day_by_day(log, scored, followed=1)
    mature = [gap["start"] <= pd.Timestamp(log.observed_until) - pd.Timedelta(days=IDLE) for gap in every]
    judged = [gap for gap, old in zip(every, mature, strict=True) if old]
    objective = Capacity(per_day=per_day)
    row, taken = by_score(log, scored, objective).table.iloc[0], [IDLE] * len(every)
    found = {}
    for cut in (-9.0, -1.0, 0.0, 1.0, 2.0):
        day = in_lines(every, cut, per_day, taken)
        dates = pd.Series(
            [gap["start"] + pd.Timedelta(days=int(d)) for gap, d in zip(every, day, strict=True) if d < IDLE]
        )
        assert dates.value_counts().max() <= per_day
        found[cut] = figures_of(judged, day[mature], objective)
    cut = float(row["rule"].split("> ")[1])
    told = figures_of(judged, in_lines(every, cut, per_day, taken)[mature], objective)
    assert row["alerts"] == told["alerts"]
    assert row["lead_recall"] == pytest.approx(told["lead"] / told["churned"])
    # candidates are not all cuts
    assert told["lead"] >= 0.97 * max(each["lead"] for each in found.values())


def test_a_capacity_below_other_tiers_has_what_they_leave(small):
    log, scored, _ = small
    scored = scored.assign(score=scored["score"] + np.arange(len(scored)) * 1e-6)
    goals = {"high": Precision(target=0.8), "low": Capacity(per_day=1)}
    got = by_score(log, scored, goals)
    every = day_by_day(log, scored, followed=1)
    high, low = (each.rule.alternatives[0][0].threshold for each in got.tiers)
    until = alerted(every, high, [IDLE] * len(every))
    day = in_lines(every, low, 1, until)
    mature = [gap["start"] <= pd.Timestamp(log.observed_until) - pd.Timedelta(days=IDLE) for gap in every]
    told = figures_of([gap for gap, old in zip(every, mature, strict=True) if old], day[mature], goals["low"])
    row = got.table.iloc[1]
    assert row["alerts"] == told["alerts"] > 0
    assert row["lead_recall"] == pytest.approx(told["lead"] / told["churned"])
    assert any("low: on no day more than 1 first alerts, those of the highest score first" in n for n in got.notes)


def test_the_chances_of_a_fit_given_as_a_table_have_the_same_cut():
    """The road through the engine, day by day, leads where the road through linear predictors does."""
    log = ch.simulate_app(150, seed=2, campaigns=()).log
    goals = {"high": Precision(target=0.6), "low": Precision(target=0.4)}
    fitted = fit_tiers(log, objective=goals, family="score", formula="channel", bootstrap=0, blocks=150)
    gaps, _ = gaps_for(log, ("channel",), {})
    table = log.gaps(features=[]).table
    table = table[table["start_date"] <= pd.Timestamp(log.observed_until) - pd.Timedelta(days=30)]
    assert len(table) == len(gaps)
    chance = fitted.score.by_day(fitted.score.risk(gaps))[CHANCE]
    rows = [
        (user, start + pd.Timedelta(days=day), chance[place, day])
        for place, (user, start, duration) in enumerate(
            zip(table["user_id"], table["start_date"], gaps["duration"], strict=True)
        )
        for day in range(min(duration, 30))
    ]
    got = by_score(log, pd.DataFrame(rows, columns=["user_id", "date", "score"]), goals)
    for ours, theirs in zip(got.tiers, fitted.tiers, strict=True):
        assert str(ours.rule) == str(theirs.rule).replace(CHANCE, "score")
        assert ours.figures["alerts"] == theirs.figures["alerts"] > 0
        assert ours.figures["lead_recall"] == pytest.approx(theirs.figures["lead_recall"])
    assert not any("carry" in note for note in got.notes)


def test_tables_notes_and_bootstrap(scheme):
    for name, layout in (
        ("table", "tier_rules"),
        ("thresholds", "tier_thresholds"),
        ("sensitivity", "tier_sensitivity"),
    ):
        assert list(getattr(scheme, name).columns) == list(schema(layout).names)
    assert scheme.thresholds["variable"].tolist() == ["score"] * 3
    assert (scheme.thresholds["range_lower"] <= scheme.thresholds["range_upper"]).all()
    assert scheme.sensitivity["saving"].tolist()[0] == "as stated"
    # the same records under each curve: no cut is better than the best one under its own
    assert (scheme.sensitivity["loss"].dropna() >= 0).all()
    text = " ".join(scheme.notes)
    assert "carry the last one before, for up to" in text
    assert "gaps never have a score, and no alert" in text
    assert "looks ahead cannot be seen" in text
    assert "left out" not in text
    assert repr(scheme.score) == "GivenScore(idle_days=6)"
    assert scheme.features == []
    assert scheme.score.name == "score"


def test_what_is_left_out_is_noted(small):
    log, scored, _ = small
    odd = pd.DataFrame({"user_id": [999, 3], "date": pd.Timestamp("2024-02-01"), "score": [1.0, np.nan]})
    more = pd.concat([scored, odd])
    got, plain = by_score(log, more, VALUE), by_score(log, scored, VALUE)
    assert f"score: of {len(more):,} rows these are left out: 1 without a value, 1 of unknown users." in got.notes
    assert got.data_hash == plain.data_hash
    assert got.data_hash != by_score(log, scored.assign(score=-scored["score"]), VALUE).data_hash


def test_nothing_after_the_day_reaches_the_fit(small):
    log, scored, _ = small
    one = by_score(log, scored, VALUE, until="2024-02-20")
    other = by_score(log.as_of("2024-02-20"), scored[scored["date"] <= "2024-02-20"], VALUE)
    assert one.data_hash == other.data_hash
    assert one.table.equals(other.table)
    assert any("with dates outside the log" in note for note in one.notes)


def test_the_order_of_rows_plays_no_part(small):
    log, scored, _ = small
    one, other = (by_score(log, each, GOALS) for each in (scored, scored.iloc[::-1]))
    assert one.to_json() == other.to_json()


# ---------------------------------------------------------------------------------------------------- what it does


def test_it_comes_back_from_json(scheme, tmp_path):
    again = ch.load(scheme.save(tmp_path / "scheme.json"))
    assert again.to_json() == scheme.to_json()
    assert isinstance(again.score, GivenScore)
    whole = json.loads(scheme.to_json())
    assert whole["facts"]["score"] == "score"
    for damage in ({"idle_days": "6"}, {"idle_days": 6, "more": 1}):
        whole["scheme"]["score"] = {"kind": "given"} | damage
        with pytest.raises(InputError, match=r"scheme\.score cannot be read"):
            TierScheme.from_json(json.dumps(whole))
    whole["scheme"]["score"] = {"kind": "given", "idle_days": 7}
    with pytest.raises(InputError, match=r"scheme\.score\.idle_days is 7"):
        TierScheme.from_json(json.dumps(whole))


def test_assign_counts_who_is_in_no_tier(scheme):
    states = pd.DataFrame(
        {"user_id": range(6), "idle_days": [0, 1, 5, 6, None, 3], "score": [99.0, 99.0, 99.0, 99.0, 99.0, None]}
    )
    found = scheme.assign(states)
    assert found.table["tier"].astype(object).tolist() == [np.nan, "high", "high", np.nan, np.nan, np.nan]
    assert found.table.columns.tolist() == ["user_id", "date", "idle_days", "tier", "score"]
    assert found.counts == {"rows": 6, "no_tier": 4, "churned": 1, "missing": 2}
    assert "1 row without score: in no tier." in found.notes
    with pytest.raises(SchemaError, match="'score'"):
        scheme.assign(states.drop(columns="score"))


def test_explanations_tell_the_score(scheme):
    states = pd.DataFrame({"user_id": range(4), "idle_days": [0, 2, 2, 2], "score": [99.0, 99.0, -99.0, None]})
    cut = scheme.tiers[0].rule.alternatives[0][0].threshold
    said = [scheme.explain(states, user).text for user in range(4)]
    assert "no warning tier: tiers of a score are for silent users. The user was active on that day." in said[0]
    assert f"in the warning tier high: score 99 (more than {cut:,.12g})" in said[1]
    assert "no rule holds" in said[2]
    assert "How the score goes on if the user stays silent is not known; the tier low is for score >" in said[2]
    assert "The score is not known, so that no condition on it holds." in said[3]


# --------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"formula": "channel"}, "both were given"),
        ({"family": "rules"}, 'score= is for family="score"'),
        ({"missing": {"score": 0}}, "Who has no score has no alert"),
        ({"variables": ["balance"]}, "look at nothing else"),
        ({"grids": {"score": [1]}}, 'for family="rules"'),
        ({"blocks": 1}, "blocks is a whole number"),
        ({"objective": {"high": Capacity(per_day=1e6)}}, "above the number of users"),
        ({"until": "2024-01-05"}, "Take a longer log"),
    ],
)
def test_bad_input(small, keywords, message):
    log, scored, _ = small
    given = {"objective": {"high": VALUE}, "family": "score", "score": scored, "bootstrap": 0}
    with pytest.raises(InputError, match=message):
        fit_tiers(log, **(given | keywords))


def test_scores_on_no_idle_day(small):
    log, scored, _ = small
    late = scored.head(1).assign(date=pd.Timestamp(log.observed_until))
    with pytest.raises(InputError, match=r"none of the .* gaps .* has a score on an idle day"):
        by_score(log, late, VALUE)


def test_tiers_that_come_out_empty_say_what_is_near(small):
    log, scored, _ = small
    got = by_score(log, scored, Precision(target=0.999))
    assert str(got.tiers[0].rule) == "contact nobody"
    assert any("by: score > " in note for note in got.notes)
    got = by_score(log, scored, Value(saved_value=1, contact_cost=50, saving=VALUE.saving))
    assert any("contacting nobody is best" in note for note in got.notes)
    assert got.assign(pd.DataFrame({"user_id": [1], "idle_days": [3], "score": [9.0]})).in_tier == {"high": 0}
    with pytest.raises(InputError, match="cuts of a score"):
        got.bands()
