"""Experience and churn: by hand where that can be, the true chances of the simulated app, and what is left out."""

from __future__ import annotations

import datetime
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import churnsurv as ch
from churnsurv.data import ActivityLog, ChurnRule, Feature
from churnsurv.data.problem_gaps import ProblemGaps, read_answers
from churnsurv.diagnosis import Experience, experience_hazard
from churnsurv.diagnosis.experience_asked import Asked, Level
from churnsurv.diagnosis.experience_gaps import (
    KnownGaps,
    active_days,
    adjusters,
    cells,
    known_gaps,
    levels_of,
    problem_states,
)
from churnsurv.diagnosis.experience_models import fit_asked, ratio_rows
from churnsurv.diagnosis.experience_problems import Settings, churns_a_month
from churnsurv.diagnosis.experience_rank import Shares, chance_of_first, difference_rows
from churnsurv.errors import InputError, SchemaError
from churnsurv.plots import experience, experience_frame
from churnsurv.tables import schema
from tests.slow.experience import APP, app_chances, limits_of_app

START = pd.Timestamp("2024-01-01")
KINDS = tuple(each.kind for each in APP)


def day(n: int) -> pd.Timestamp:
    return START + pd.Timedelta(days=n)


def by_hand(*extra: tuple[int, int, str], until: int = 35, **settings: object) -> Experience:
    """150 users active on days 0 and 3: of 100 without a crash on day 3 10 leave, of 50 with one 20; others: day 8."""
    user, rule = np.arange(150), settings.pop("rule", ChurnRule())
    leaves = (user < 10) | ((user >= 100) & (user < 120))
    rows = [(u, 3, "login") for u in user] + [(u, 3, "crash") for u in user[user >= 100]]
    rows += [(u, 8, "login") for u in user[~leaves]] + list(extra)
    events = pd.DataFrame(rows, columns=["user_id", "event_at", "kind"])
    events["event_at"] = START + pd.to_timedelta(events["event_at"], unit="D")
    attributes: dict[str, object] = settings.pop("attributes", {})  # type: ignore[assignment]
    users = pd.DataFrame({"user_id": user, "registered_at": START, **attributes})
    log = ActivityLog(events, users, rule=rule, observed_from=START.date(), observed_until=day(until).date())  # type: ignore[arg-type]
    return experience_hazard(log, **{"kinds": "crash", "lasting": False, **settings})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def app() -> ch.SimulatedApp:
    return ch.simulate_app(2_000, seed=4, problems=APP, campaigns=())


@pytest.fixture(scope="module")
def found(app: ch.SimulatedApp) -> Experience:
    return experience_hazard(app.log, KINDS)


# ------------------------------------------------------------------------------------------------ by hand


def test_ratio_share_and_users_lost_by_hand() -> None:
    found = by_hand()
    assert (found.counts["gaps"], found.counts["churned"], found.counts["users"]) == (300, 30, 150)
    row = found.table.query("model == 'any'").iloc[0]
    assert row["hazard_ratio"] == pytest.approx(np.log(3 / 5) / np.log(9 / 10), rel=1e-9)
    assert (row["n_exposed"], row["n_churned"]) == (50, 20)
    first = found.ranking.iloc[0]
    assert first["share"] == pytest.approx(15 / 30, rel=1e-9)
    assert first["lost"] == pytest.approx(15 / (6 / 30.4375), rel=1e-9)  # gaps began on six days
    assert (first["reach_users"], first["reach_gaps"]) == (1 / 3, 50 / 300)
    assert (first["rank"], first["top"]) == (1, 1.0)
    assert found.until == day(5).date()


def test_gaps_whose_outcome_is_not_known_are_left_out_however_they_went() -> None:
    # a user who is back on day 9 and on day 10 has a gap known to be short: it began after the last day that counts
    early = by_hand((30, 9, "login"), (30, 9, "crash"), (30, 10, "login"))
    pd.testing.assert_frame_equal(early.table, by_hand().table)
    assert by_hand((30, 9, "login"), until=39).counts["gaps"] == 420 + 1


def test_a_problem_in_a_gap_says_nothing_of_that_gap() -> None:
    found = by_hand((0, 4, "crash"), (40, 4, "crash"), (40, 5, "crash"))
    assert found.table.query("model == 'any'")["n_exposed"].tolist() == [50]
    assert (found.counts["problems"], found.counts["between"]) == (53, 3)
    assert any("3 of 53 problems" in note for note in found.notes)
    assert found.ranking["reach_users"][0] == 52 / 150


def test_limits_of_the_share_are_symmetric_for_what_remains() -> None:
    row = by_hand(level=0.9).ranking.iloc[0]
    rest = 1 - row[["share", "share_lower", "share_upper"]].to_numpy(dtype=float)
    assert rest[0] ** 2 == pytest.approx(rest[1] * rest[2])
    assert row["lost_lower"] / row["lost"] == pytest.approx(row["share_lower"] / row["share"])


# ------------------------------------------------------------------------------------------------ the simulated app


def test_the_app_has_its_true_ratios_and_shares_within_limits(app: ch.SimulatedApp, found: Experience) -> None:
    real = limits_of_app(app, KINDS)
    rows = found.table[found.table["model"] == "any"].set_index("kind")
    z = float(np.sqrt(2) * 2.2)
    for kind in KINDS:
        error = np.log(rows.loc[kind, "upper"] / rows.loc[kind, "lower"]) / 2 / 1.96
        assert abs(np.log(rows.loc[kind, "hazard_ratio"]) - real[kind]) < z * error
    ranking = found.ranking.set_index("kind")
    for kind in (*KINDS, "(all)"):
        error = (ranking.loc[kind, "share_upper"] - ranking.loc[kind, "share_lower"]) / 2 / 1.96
        assert abs(ranking.loc[kind, "share"] - real[f"true {kind.strip('()')}"]) < z * error
    # rates of leaving x 4, 2, 6 and 1 for one of four reasons
    assert real["complaint"] > real["crash"] > real["lag"] > 0.1
    assert abs(real["nothing"]) < 0.02


def test_it_is_the_glm_of_statsmodels_on_the_gaps_of_the_log(app: ch.SimulatedApp) -> None:
    import statsmodels.api as sm
    from scipy.stats import t

    found = experience_hazard(app.log, KINDS, adjust_for="channel", lasting=False)
    today = [Feature(kind, agg="any", kind=kind, last=1) for kind in KINDS]
    rows = app.log.gaps(features=today).table
    rows = rows[rows["start_date"] <= pd.Timestamp(app.log.observed_until) - pd.Timedelta(days=30)]
    churned = ~rows["returned"] | (rows["duration"] > 30)
    before = rows.groupby("user_id", observed=True)["start_date"]
    shifted = [(rows["start_date"] - before.shift(k)).dt.days for k in range(1, 31)]
    week = sum((days <= 7).astype(int) for days in shifted)
    month = sum(((days > 7) & (days <= 30)).astype(int) for days in shifted)
    columns = [rows[kind].astype(float) for kind in KINDS]
    edges = np.array([1, 2, 3, 4, 6, 9, 14, 20])
    for place, count in ((1, week), (2, month)):
        names = [name for name in found.fit.names if f"window {place}" in name]
        level = np.minimum(np.searchsorted(edges, count, side="right"), len(names))
        columns += [pd.Series(level == k, index=rows.index).astype(float) for k in range(1, len(names) + 1)]
    cell = pd.get_dummies(rows["channel"].astype(str) + rows["registration_gap"].astype(str)).astype(float)
    X = np.column_stack([*columns, cell])
    glm = sm.GLM(churned.astype(float).to_numpy(), X, sm.families.Binomial(sm.families.links.CLogLog())).fit(
        cov_type="cluster", cov_kwds={"groups": rows["user_id"].to_numpy(), "use_correction": False}, tol=1e-12
    )
    mine = found.table[found.table["model"] == "any"]
    assert mine["kind"].tolist() == list(KINDS)
    np.testing.assert_allclose(np.log(mine["hazard_ratio"]), glm.params[:4], rtol=1e-6)
    errors = np.log(mine["upper"] / mine["lower"]) / 2 / t.ppf(0.975, mine["df"])
    assert (errors > glm.bse[:4]).all()
    np.testing.assert_allclose(errors, glm.bse[:4], rtol=0.01)  # raised for few users; theirs has expected information
    assert (mine["df"] > 50).all()


def test_the_share_among_true_chances_is_the_planted_one(app: ch.SimulatedApp) -> None:
    real = limits_of_app(app, KINDS)
    for kind in (*KINDS, "all"):
        assert real[f"share of {kind}"] == pytest.approx(real[f"true {kind}"], abs=0.0015)
    chances = app_chances(app)
    gaps = app.truth.gaps.assign(chance=chances["chance"])
    known = gaps[gaps["start_date"] <= pd.Timestamp(app.log.observed_until) - pd.Timedelta(days=30)]
    churned = ~known["returned"] | (known["duration"] > 30)
    error = np.sqrt((known["chance"] * (1 - known["chance"])).sum())
    assert abs(churned.sum() - known["chance"].sum()) < 3.5 * error


def test_a_lagged_history_sees_nothing_of_what_happened_at_the_last_activity(found: Experience) -> None:
    lasting = found.lasting.set_index("kind")
    assert found.lag == 90
    assert set(lasting.index) <= set(KINDS)
    assert lasting["adjusted_p_value"].min() > 0.01
    # while at the activity itself it is plain
    assert found.table.query("kind == 'complaint' and model == 'any'")["p_value"].iloc[0] < 0.01


def test_past_problems_have_no_effect_in_the_app(found: Experience) -> None:
    past = found.table[found.table["what"].str.contains("before")]
    assert len(past) >= 6
    assert past["adjusted_p_value"].min() > 0.05


def test_tables_have_their_layouts_and_the_result_is_plain_data(found: Experience) -> None:
    layouts = {
        "experience": found.table, "experience_ranking": found.ranking, "experience_differences": found.differences,
        "experience_lasting": found.lasting, "experience_absent": found.absent, "rejects": found.answer_rejects,
    }  # fmt: skip
    for name, table in layouts.items():
        assert tuple(table.columns) == schema(name).names
    plain = json.loads(found.to_json())
    assert plain["facts"]["counts"]["gaps"] == found.counts["gaps"]
    assert "observational" in repr(found)
    assert found.ranking["top"][:-1].sum() == pytest.approx(1)
    assert found.ranking["share"][:-1].is_monotonic_decreasing
    assert found.adjusted_for == ("channel", "stage")
    p = found.table["p_value"]
    assert found.table["adjusted_p_value"].min() == pytest.approx(min(1.0, p.min() * len(p)))
    assert any("Observational" in note for note in found.notes)
    assert found.absent["what"].tolist()[:4] == ["2+ (dose)"] * 4  # one problem a day at most


# ------------------------------------------------------------------------------------------------ what was known


def gaps_of(rows: list[tuple[int, int]], problems: list[tuple[int, int, int]], **more: object) -> ProblemGaps:
    """Gaps of (user, start), and problems of (user, day, n)."""
    user, start = (np.array(each, np.int32) for each in zip(*rows, strict=True))
    n = int(user.max()) + 1
    users = pd.DataFrame({"_user_key": range(n), "_observed": True, "channel": ["a", "b"][:n]})
    made = pd.DataFrame(problems, columns=["user", "day", "n"]).assign(kind="crash")
    settings = {"registration": start == 100, "users": users, "features": pd.DataFrame(index=range(user.size)), **more}
    date = datetime.date(1970, 1, 1)
    return ProblemGaps(user, start, np.zeros(user.size, bool), problems=made, first=date, until=date, **settings)  # type: ignore[arg-type]


def test_doses_and_windows_as_known_at_the_end_of_the_first_day() -> None:
    gaps = gaps_of(
        [(0, 100), (0, 107), (0, 108), (0, 130), (0, 131), (0, 132), (1, 100), (1, 140)],
        [(0, 100, 1), (0, 132, 3), (1, 141, 1)],
    )
    # on the day; 7 and 8 days before; 30, and 31 days before: none; three that day; other users and later days: none
    assert problem_states(gaps, "crash", (1, 2), (7, 30)).tolist() == [1, 3, 4, 4, 0, 2, 0, 0]
    assert problem_states(gaps, "crash", (1,), (40,)).tolist() == [1, 2, 2, 2, 2, 1, 0, 0]
    assert problem_states(gaps, "lag", (1, 2), (7, 30)).tolist() == [0] * 8


def test_active_days_before_are_counted_by_window() -> None:
    gaps = gaps_of([(0, 100), (0, 102), (0, 107), (0, 109), (0, 138), (1, 110)], [])
    week, month = active_days(gaps, (7, 30))
    assert week.tolist() == [0, 1, 2, 2, 0, 0]
    assert month.tolist() == [0, 0, 0, 1, 1, 0]


def test_features_are_those_of_the_active_day_before() -> None:
    stage = pd.DataFrame({"stage": pd.Categorical(["new", "growth", "growth", "new"], ["new", "growth"])})
    rows = [(0, 100), (0, 110), (0, 120), (1, 105)]
    found = adjusters(gaps_of(rows, [], features=stage), ["channel"], month=True)
    codes, labels = found["stage"]
    assert [labels[code] for code in codes] == ["(registered)", "new", "growth", "(not observed)"]
    assert [found["channel"][1][code] for code in found["channel"][0]] == ["a", "a", "a", "b"]
    assert found["month"][1] == ["1970-04", "1970-05"]
    users = pd.DataFrame({"_user_key": [0, 1], "_observed": [False, True], "channel": "a"})
    codes, labels = adjusters(gaps_of(rows, [], features=stage, users=users), [], month=False)["stage"]
    assert [labels[code] for code in codes[1:]] == ["(not observed)"] * 3


def test_cells_with_few_churned_gaps_are_put_together() -> None:
    codes = np.repeat([0, 1, 2, 3], [100, 100, 40, 30])
    churned = np.concatenate([np.arange(100) < 20, np.arange(100) < 30, np.arange(40) < 3, np.arange(30) < 25])
    cell, n_small, in_small = cells({"channel": (codes, list("abcd"))}, churned)
    assert (n_small, in_small) == (2, 70)
    assert [np.unique(cell[codes == k]).tolist() for k in range(4)] == [[1], [2], [0], [0]]


@pytest.mark.parametrize("widest", [1 << 40, 8])
def test_patterns_are_what_was_known_together(widest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from churnsurv.diagnosis import experience_gaps

    monkeypatch.setattr(experience_gaps, "_WIDEST", widest)
    rng = np.random.default_rng(0)
    columns = [rng.integers(0, width, 500) for width in (3, 5, 4, 2)]
    known = known_gaps(np.arange(500, dtype=np.int32), rng.random(500) < 0.3, columns[0], columns[1:3], columns[3:])
    together = np.column_stack([known.cell, known.state, known.active])[known.pattern]
    assert (together == np.column_stack(columns)).all()
    assert known.cell.size == len(np.unique(np.column_stack(columns), axis=0))
    assert known.counts[0].sum() == 500


# ------------------------------------------------------------------------------------------------ ranking


def test_the_chance_to_be_first_and_differences() -> None:
    size = np.array([0.02, 0.05, -0.01, 0.06])
    shares = Shares(("a", "b", "c"), size, np.diag([1e-4] * 4), np.array([9.0, 1e9, 1e9, 1e9]), 100.0)
    first = chance_of_first(shares)
    # b before a: difference of the logarithms .0311, standard error .0141
    assert first[1] == pytest.approx(0.986, abs=0.003)
    assert first.sum() == pytest.approx(1)
    pairs = pd.DataFrame(difference_rows(shares, level=0.95, adjust="bonferroni"))
    assert pairs[["kind", "other"]].to_numpy().tolist() == [["b", "a"], ["b", "c"], ["a", "c"]]
    assert pairs["difference"].tolist() == pytest.approx([0.03, 0.06, 0.03])
    error = np.hypot(0.95, 0.98) * 0.01
    assert pairs["upper"][0] == pytest.approx(0.03 + 2.262157 * error, rel=1e-6)  # Student's, 9 degrees of freedom
    assert pairs["upper"][1] == pytest.approx(0.06 + 1.959964 * np.hypot(0.95, 1.01) * 0.01, rel=1e-6)
    turned = Shares(("c", "b", "a"), size[[2, 1, 0, 3]], np.diag([1e-4] * 4), np.full(4, 9.0), 100.0)
    assert chance_of_first(turned).tolist() == first[::-1].tolist()
    assert pairs["adjusted_p_value"][0] == pytest.approx(3 * pairs["p_value"][0])


def test_a_problem_that_goes_with_fewer_churns_is_said_as_it_is() -> None:
    quiet = [(u, 3, "tip") for u in (*range(4), *range(10, 80), *range(100, 106), *range(130, 150))]
    found = by_hand(*quiet, kinds=("crash", "tip"))
    tip = found.ranking.set_index("kind").loc["tip"]
    assert tip["share"] < 0
    assert tip["lost"] < 0
    assert tip["rank"] == 2


# ------------------------------------------------------------------------------------------------ bad input


def test_what_has_no_estimate_is_said() -> None:
    rare = [(u, 3, "outage") for u in (1, 2, 40)]
    calm = [(u, 3, "tip") for u in range(20, 80)]
    found = by_hand(*rare, *calm, kinds=("crash", "outage", "tip", "complaint"))
    absent = found.absent[found.absent["what"] == "any"].set_index("kind")["why"]
    assert absent["outage"] == "of gaps like its own fewer than 10 would end in churn"
    assert absent["tip"] == "none of its gaps ended in churn: the hazard ratio has no limit"
    assert absent["complaint"] == "it never occurs in the log"
    assert found.kinds == ("crash",)
    assert found.counts["with_absent"] == 62
    assert any("62 gaps that began with a problem without estimate" in note for note in found.notes)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kinds": ("crash", "logim")}, "Did you mean 'login'"),
        ({"kinds": "crasch"}, "Did you mean 'crash'"),
        ({"kinds": "outage"}, "no event of kind 'outage'. It has crash, login"),
        ({"kinds": ()}, "kinds"),
        ({"lag": 20}, "lag must be at least the 30 days"),
        ({"doses": (2, 3)}, "doses must begin with 1"),
        ({"doses": 2}, "doses takes whole numbers"),
        ({"recency": 7}, "recency takes whole numbers"),
        ({"adjust_for": 5}, "adjust_for takes names"),
        ({"adjust_for": ["stage", "stage"]}, "'stage' is named twice"),
        ({"recency": (30, 7)}, "recency must be whole numbers in ascending order"),
        ({"adjust_for": ["stages"]}, "there is no 'stages'"),
        ({"adjust": "holms"}, "adjust must be one of"),
        ({"level": 2}, "level"),
        ({"kinds": "login"}, "login is all that counts as activity"),
        ({"until": 20}, "no gap has had 30 days to end"),
    ],
)
def test_errors_say_what_to_do(settings: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        by_hand(**settings)  # type: ignore[arg-type]


def test_no_kind_with_an_estimate_is_an_error_that_says_why() -> None:
    with pytest.raises(InputError, match=r"outage: of gaps like its own fewer than 10 would end in churn \(2 gaps\)"):
        by_hand((1, 3, "outage"), (2, 3, "outage"), kinds="outage")


def test_users_of_before_the_log_count_once_their_past_days_are_known(app: ch.SimulatedApp) -> None:
    late = ActivityLog(
        app.events, app.users, rule=app.log.rule, observed_from="2024-10-01", observed_until=app.log.observed_until
    )
    found = experience_hazard(late, KINDS, lasting=False)
    assert found.counts["not_adjusted"] > 0
    assert any("registered before the log" in note for note in found.notes)


def test_what_is_adjusted_for_can_be_chosen(app: ch.SimulatedApp) -> None:
    found = experience_hazard(
        app.log, "lag", adjust_for=["device", "month", Feature("n_logins", agg="count", kind="login")], lasting=False
    )
    assert found.adjusted_for == ("device", "n_logins", "month")
    assert found.counts["small_cells"] > 0
    cities = ActivityLog(app.events, app.users.assign(city=[f"city {i}" for i in range(len(app.users))]))
    with pytest.raises(InputError, match="'city' has 2,000 values, more than 50"):
        experience_hazard(cities, "lag", adjust_for=["city"], lasting=False)


# ------------------------------------------------------------------------------------------------ satisfaction


def test_answers_by_hand() -> None:
    user = np.arange(150)
    # of those without a crash (10 in 100 leave) 60 gave 5, of those with one (20 in 50) all gave 1
    given = np.concatenate([user[5:65], user[100:]])
    answers = pd.DataFrame({"who": given, "date": day(2), "topic": "service", "stars": np.where(given < 100, 5, 1)})
    late = pd.DataFrame({"who": [70, 71], "date": day(4), "topic": "service", "stars": 1})
    bad = pd.DataFrame(
        {
            "who": [999, 3, 4, 6],
            "date": [day(1), pd.NaT, day(1), day(900)],
            "topic": "service",
            "stars": [1, 1, None, 2],
        }
    )
    answers = pd.concat([answers, late, bad], ignore_index=True)
    found = by_hand(answers=answers, columns={"user_id": "who", "score": "stars"})
    rows = found.table.set_index(["model", "what"])
    low, high = 20 / 50, 5 / 60
    ratio = np.log(1 - low) / np.log(1 - high)
    assert rows.loc[("third", "low (1)"), "hazard_ratio"].item() == pytest.approx(ratio, rel=1e-8)
    assert rows.loc[("score", "one point more"), "hazard_ratio"].item() == pytest.approx(ratio ** (-1 / 4), rel=1e-8)
    # 40 silent gaps of day 3 would have 8 churns at the rate of all; an answer of day 4 is not known when they begin
    silent = found.absent[found.absent["what"].str.startswith("not answered")]
    assert silent["why"].unique().tolist() == ["of gaps like its own fewer than 10 would end in churn"]
    assert found.answer_rejects["reason"].tolist() == [
        "unknown_user",
        "missing_date",
        "missing_score",
        "outside_window",
    ]
    assert found.topics == ("service",)
    assert (found.counts["answers_read"], found.counts["answers_rejected"]) == (116, 4)
    assert any("Who answers is not random" in note for note in found.notes)


def test_answers_that_cannot_be_used_are_errors() -> None:
    answers = pd.DataFrame({"user_id": [999], "date": [day(2)], "topic": "service", "score": [3]})
    with pytest.raises(InputError, match=r"none of 1 rows can be used \(1 unknown_user"):
        by_hand(answers=answers)
    with pytest.raises(SchemaError, match="score"):
        by_hand(answers=answers.drop(columns="score"))
    with pytest.raises(InputError, match="columns maps our names"):
        by_hand(answers=answers, columns={"stars": "score"})


# ------------------------------------------------------------------------------------------------ the figure


def test_the_figure_is_the_ranking_and_says_observational(found: Experience) -> None:
    for width in (340.0, 640.0):
        ax = experience(found.ranking, experience_frame(found.ranking, width).place(Figure()))
        written = [text.get_text() for text in ax.texts]
        assert any("observational" in text for text in written)
        assert {"complaint", "all together"} <= set(written)
        points = [line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 1]
        assert points == found.ranking["share"].tolist()
    assert found.plot(Figure().add_subplot()).lines
    with pytest.raises(InputError, match="no rows"):
        experience(found.ranking[:0])
    with pytest.raises(SchemaError, match="share"):
        experience(found.ranking.drop(columns="share"))


def test_words_of_users_are_written_as_they_are(found: Experience) -> None:
    named = found.ranking.assign(kind=["$x$ & co", "<b>", "分銷", "=1+1", "(all)"])
    written = [text.get_text() for text in experience(named, Figure().add_subplot()).texts]
    assert {"$x$ & co", "<b>", "=1+1"} <= set(written)


# ------------------------------------------------------------------------------------------------ who can be compared


def patterns_of(*parts: tuple[int, int, int, dict[str, int]], users: int = 10**6) -> tuple[KnownGaps, dict[str, int]]:
    """Gaps as (cell, gaps, of them churned, problems of that day), of `users` users at most in each part."""
    names = sorted({name for *_, marks in parts for name in marks})
    cell, churned, user, states = [], [], [], []
    for number, (c, n, d, marks) in enumerate(parts):
        cell += [c] * n
        churned += [True] * d + [False] * (n - d)
        user += [10_000 * number + i % users for i in range(n)]
        states += [[marks.get(name, 0) for name in names]] * n
    order = np.argsort(user, kind="stable")
    states_of = list(np.array(states).reshape(len(cell), len(names))[order].T)
    known = known_gaps(np.array(user, np.int32)[order], np.array(churned)[order], np.array(cell)[order], states_of, [])
    return known, {name: place for place, name in enumerate(names)}


def levels_in(known: KnownGaps, names: dict[str, int], order: tuple[str, ...]) -> list[Level]:
    return [Level(name, "any", "none that day", known.state[:, names[name]] > 0) for name in order]


def test_what_nearly_all_gaps_have_leaves_the_model_and_not_the_gaps_in_any_order() -> None:
    # an "ad" on all gaps of cell 1; cell 0 has none of it
    known, names = patterns_of((0, 200, 40, {}), (1, 900, 90, {"ad": 1}), (1, 100, 30, {"ad": 1, "crash": 1}))
    found = []
    for order in (("ad", "crash"), ("crash", "ad")):
        fitted, asked = fit_asked("any", known, levels_in(known, names, order))
        assert fitted is not None
        assert asked.n.sum() == 1_200
        assert [(each.kind, each.why) for each in asked.absent] == [
            ("ad", "no gap without it to compare with, all else equal")
        ]
        found.append(ratio_rows(fitted, known, level=0.95))
    assert found[0] == found[1]
    assert found[0][0]["hazard_ratio"] == pytest.approx(np.log(0.7) / np.log(0.9), rel=1e-8)
    assert found[0][0]["n_users"] == 100


def test_kinds_that_go_together_or_without_limits_are_named_and_the_others_stay() -> None:
    both = {"popup": 1, "crash": 1}
    known, names = patterns_of((0, 500, 50, {}), (0, 100, 30, both), (0, 100, 20, {"lag": 1}))
    fitted, asked = fit_asked("any", known, levels_in(known, names, ("crash", "popup", "lag")))
    assert fitted is not None
    assert [level.kind for level in asked.levels] == ["lag"]
    why = {each.kind: each.why for each in asked.absent}
    assert why["crash"] == "it cannot be told apart from popup (any): each goes with the others"
    assert asked.n.sum() == 600
    assert np.exp(fitted.fit.coefficients[0]) == pytest.approx(np.log(0.8) / np.log(0.9), rel=1e-8)
    # a crash without a popup is never followed by churn, one with it half of the time
    known, names = patterns_of(
        (0, 500, 50, {}), (0, 100, 50, both), (0, 100, 0, {"crash": 1}), (0, 100, 20, {"lag": 1})
    )
    fitted, asked = fit_asked("any", known, levels_in(known, names, ("lag", "crash", "popup")))
    assert fitted is not None
    assert [level.kind for level in fitted.asked.levels] == ["lag"]
    assert {each.why for each in asked.absent} == {
        "beside the others its hazard ratio has no limit, or no steps reach it"
    }


def test_few_users_have_no_estimate_however_many_gaps_they_have() -> None:
    for users, enough in ((1, False), (4, False), (6, True)):
        known, names = patterns_of((0, 900, 90, {}), (0, 300, 45, {"crash": 1}), users=users)
        fitted, asked = fit_asked("any", known, levels_in(known, names, ("crash",)))
        assert (fitted is not None) == enough
        if not enough:
            assert asked.absent[0].why == "its gaps are, in effect, those of fewer than 5 users"
    assert fitted is not None
    row = ratio_rows(fitted, known, level=0.95)[0]
    assert (row["n_users"], row["df"]) == (6, pytest.approx(10.0, abs=2.0))
    # one user with 290 of the 300 gaps is one user in effect
    parts = [(0, 900, 90, {}), (0, 290, 40, {"crash": 1}), *[(0, 1, 0, {"crash": 1})] * 10]
    known, names = patterns_of(*parts, users=1)
    assert fit_asked("any", known, levels_in(known, names, ("crash",)))[0] is None


def test_most_gaps_left_out_is_refused() -> None:
    known, names = patterns_of((0, 300, 90, {}), (0, 500, 0, {"tip": 1}), (0, 100, 30, {"crash": 1}))
    fitted, asked = fit_asked("any", known, levels_in(known, names, ("crash", "tip")))
    assert fitted is None
    assert {each.kind: each.why for each in asked.absent} == {
        "tip": "none of its gaps ended in churn: the hazard ratio has no limit",
        "crash": "more than half of the gaps are those of levels without an estimate",
    }


def test_users_lost_a_month_are_of_the_gaps_and_days_that_count() -> None:
    gaps = gaps_of([(0, 0), (0, 40), (1, 35), (1, 60)], [])
    gaps.users["_observed"] = [True, False]
    churned, counted = np.array([True, True, True, True]), np.ones(4, bool)
    until = datetime.date(1970, 1, 1) + datetime.timedelta(days=99)
    gaps = replace(gaps, churned=churned, until=until)
    known = known_gaps(gaps.user, churned, np.zeros(4, int), [np.array([0, 0, 0, 1])], [])
    asked = Asked((), (), np.array([3.0, 0.0]), np.array([3.0, 0.0]))  # the second of user 1 is left out
    model = SimpleNamespace(asked=asked)
    # 2 churns in 100 days, and 1 in the 70 days on which gaps of users of before the log count
    rate = churns_a_month(gaps, known, counted, model, Settings((1, 2), (7, 30), "holm", 0.95))  # type: ignore[arg-type]
    assert rate == pytest.approx((2 / 100 + 1 / 70) * 30.4375)


def test_a_problem_that_is_activity_by_the_rule_makes_no_gaps() -> None:
    extra = [(u, d, "crash") for u in range(150) for d in (1, 2)]
    alone, both = by_hand(*extra), by_hand(*extra, rule=ChurnRule(30, None))
    assert both.counts["gaps"] == alone.counts["gaps"] == 300
    pd.testing.assert_frame_equal(both.table, alone.table)
    assert both.rule.activity == ("login",)
    assert any("crash is no activity, though it is by the rule of the log" in note for note in both.notes)


def test_lasting_effects_are_adjusted_for_numbers_in_classes(app: ch.SimulatedApp) -> None:
    # ages of the first 600 users, all different; by class they are those of the column of classes
    ids = list(app.users["user_id"])[:600]
    events, users = (each[each["user_id"].isin(ids)] for each in (app.events, app.users))
    users = users.assign(age=np.random.default_rng(0).permutation(len(users)) + 0.5)
    users["fifth"] = pd.qcut(users["age"].rank(), 5, labels=list("abcde")).astype(str)
    users["far"] = users["age"].where(users["age"] < 550, np.inf)
    log = ActivityLog(events, users, rule=app.log.rule, observed_until=app.log.observed_until)
    rows = [experience_hazard(log, "lag", adjust_for=name).lasting for name in ("age", "fifth")]
    pd.testing.assert_frame_equal(*rows)
    assert len(rows[0]) == 1
    codes, labels = levels_of(users["far"], "far")
    assert np.bincount(codes).tolist() == [120] * 5
    assert labels[-1] == "more"


def test_of_the_answers_of_a_day_the_last_counts() -> None:
    day, late = "2024-01-02 09:00", "2024-01-02 18:00"
    log = ActivityLog(
        pd.DataFrame({"user_id": ["a", "b"], "event_at": "2024-01-03", "kind": "login"}),
        pd.DataFrame({"user_id": ["a", "b"], "registered_at": "2024-01-01"}),
    )
    given = pd.DataFrame(
        [("a", late, 1.0, 5), ("a", day, 1.0, 1), ("a", day, "app", 2), ("b", day, 2, 1), ("b", day, 2, 4)],
        columns=["user_id", "date", "topic", "score"],
    )
    kept, _ = read_answers(log, given)
    found = {(row.topic, row.user_key): row.score for row in kept.itertuples()}
    assert sorted((topic, score) for (topic, _), score in found.items()) == [("1", 5.0), ("2", 2.5), ("app", 2.0)]


def test_topics_that_say_nothing_are_absent_and_the_others_stay() -> None:
    user = np.arange(150)
    made = [
        pd.DataFrame({"user_id": user, "topic": "good", "score": np.where(user < 100, 4, 1)}),
        pd.DataFrame({"user_id": user, "topic": "one", "score": 3}),
        pd.DataFrame({"user_id": user[:5], "topic": "few", "score": [1, 2, 3, 4, 5]}),
        pd.DataFrame({"user_id": user, "topic": "far", "score": np.where(user == 1, 1e9, user % 5)}),
    ]
    found = by_hand(answers=pd.concat(made).assign(date=day(2)))
    assert {"good", "far"} <= set(found.table["kind"])
    assert not {"one", "few"} & set(found.table["kind"])
    why = found.absent.set_index(["kind", "what"])["why"]
    assert why["one", "score"] == "all scores are the same"
    assert why["few", "one point more (score)"] == "of gaps like its own fewer than 10 would end in churn"
    good = found.table.query("kind == 'good' and model == 'score'").iloc[0]
    assert good["hazard_ratio"] == pytest.approx((np.log(0.9) / np.log(0.6)) ** (1 / 3), rel=1e-8)


def test_names_that_are_taken() -> None:
    with pytest.raises(InputError, match=r"'\(all\)' is what all kinds together are called"):
        by_hand((1, 3, "(all)"), kinds=("crash", "(all)"))
    month = {"month": np.where(np.arange(150) < 75, "x", "y"), "registration": "z"}
    with pytest.raises(InputError, match="'month' is also the calendar month"):
        by_hand(attributes=month, adjust_for="month")
    assert by_hand(attributes=month, adjust_for="registration").adjusted_for == ("registration", "registration_gap")
    # nobody has typed "lag": a kind of nearly that name is no typing error
    assert by_hand((1, 3, "flag"), kinds=("crash", "lag", "complaint")).kinds == ("crash",)
    assert by_hand().counts["cells"] == 2


def test_small_and_missing_shares_are_drawn_and_names_alike_told_apart() -> None:
    names = ["payment_failed_after_login_on_android", "payment_failed_after_login_on_ios", "lag", "(all)"]
    values = pd.DataFrame(
        {"kind": names, "reach_users": 0.2, "hazard_ratio": 1.1, "share": [2e-4, -1e-9, np.nan, np.nan]}
    ).assign(share_lower=[1e-4, -1e-9, np.nan, np.nan], share_upper=[3e-4, 1e-4, np.nan, np.nan])
    written = [text.get_text() for text in experience(values, Figure().add_subplot()).texts]
    assert written[0] != written[3]
    assert written[0].endswith("android")
    assert [written[2], written[5], written[8]] == ["0.020% (0.010–0.030)", "0.000% (0.000–0.010)", "–"]
