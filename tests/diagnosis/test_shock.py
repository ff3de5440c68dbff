from __future__ import annotations

import datetime
import json

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.data import ActivityLog
from churnsurv.data.return_days import return_days
from churnsurv.diagnosis import shock_rows
from churnsurv.diagnosis.shock import ShockEffect, shock_effect
from churnsurv.diagnosis.shock_placebo import Placebo, quiet_p_value, rank_p_value
from churnsurv.errors import FollowUpError, InputError, SchemaError
from churnsurv.tables import schema
from tests.slow import shock_effect as worlds

DATE = "2024-09-02"


@pytest.fixture(scope="module")
def log() -> ActivityLog:
    return ch.simulate_app(1_500, seed=2, campaigns=()).log


@pytest.fixture(scope="module")
def found(log: ActivityLog) -> ShockEffect:
    return shock_effect(log, DATE, by="channel", untouched=("organic",), min_users=40)


def calendar(*rows: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["name", "first", "last"])


def quick(log: ActivityLog, when: object, **keywords: object) -> ShockEffect:
    return shock_effect(log, when, **{"placebo": False, "churned": 0, **keywords})


FIRST_DAY = datetime.date(2024, 1, 1)


def day(number: int) -> datetime.date:
    return FIRST_DAY + datetime.timedelta(days=number)


def made(
    hazard: np.ndarray, n: int, channel: np.ndarray | None = None, registered: np.ndarray | None = None, seed: int = 1
) -> ActivityLog:
    """A log of users who are active on each day with the probability given for it."""
    there = np.zeros(n, dtype=int) if registered is None else registered
    days = np.arange(hazard.size)
    active = (np.random.default_rng(seed).random((n, hazard.size)) < hazard) & (days > there[:, None])
    who, when = np.nonzero(active)
    first = np.datetime64(FIRST_DAY)
    events = pd.DataFrame({"user_id": who, "event_at": first + when, "kind": "login"})
    users = pd.DataFrame({"user_id": np.arange(n), "registered_at": first + there})
    if channel is not None:
        users["channel"] = channel
    return ActivityLog(events, users, observed_from=FIRST_DAY, observed_until=day(hazard.size - 1))


@pytest.fixture(scope="module")
def dark() -> ActivityLog:
    """Nobody returns on days 150 to 153."""
    days = np.arange(200)
    return made(np.where((days >= 150) & (days < 154), 0.0, 0.12), 500)


@pytest.fixture(scope="module")
def young() -> ActivityLog:
    """The last of three channels began 35 days before day 150."""
    n = np.arange(900)
    return made(np.full(200, 0.12), 900, np.array(["other", "seo", "tv"])[n % 3], np.where(n % 3 == 2, 114, n % 40))


def test_tables_have_their_schemas(found: ShockEffect) -> None:
    tables = {
        "shock_effect": found.table, "shock_lost": found.lost, "shock_duration": found.duration,
        "shock_days": found.daily, "shock_placebo": found.placebo, "shock_untouched": found.untouched,
    }  # fmt: skip
    for name, table in tables.items():
        assert tuple(table.columns) == schema(name).names
        assert len(table)
    facts = json.loads(found.to_json())
    assert facts["facts"]["lost"]["until"][0].startswith("2024-10-29")
    assert "2024-09-02: return hazard of (touched)" in repr(found)


def test_observed_returns_are_those_of_the_log(log: ActivityLog, found: ShockEffect) -> None:
    counts = return_days(log, first=DATE, last="2024-09-29")
    window = found.table[(found.table["group"] == "(touched)") | (found.table["group"] == "organic")]
    window = window[(window["users"] == "living") & (window["window"] == "all days")]
    assert window["observed"].sum() == counts.returned.sum()
    living = found.table[(found.table["group"] == "(touched)") & (found.table["users"] == "living")]
    parts = living[living["window"] != "all days"]
    assert parts["observed"].sum() == living["observed"].iloc[-1]
    assert parts["window"].tolist() == ["day 0-3", "day 4-7", "day 8-14", "day 15-27"]


def test_missed_is_expected_less_observed_and_lost_is_less_than_it_can_be(found: ShockEffect) -> None:
    lost = found.lost.set_index("group")
    rows = found.table[(found.table["users"] == "living") & (found.table["window"] == "all days")].set_index("group")
    np.testing.assert_allclose(lost["missed"], rows["expected"] - rows["observed"])
    assert (lost["lower"] < lost["lost"]).all()
    assert (lost["lost"] < lost["upper"]).all()
    assert (lost["until"] == pd.Timestamp("2024-09-29") + pd.Timedelta(days=30)).all()
    back = found.table[(found.table["users"] == "churned") & (found.table["window"] == "all days")].set_index("group")
    brought = lost.loc[back.index, "brought_back"]
    np.testing.assert_allclose(brought, back["observed"] - back["expected"])


def test_placebo_dates_lie_before_on_the_same_weekday(found: ShockEffect) -> None:
    dates = found.placebo.loc[found.placebo["group"] == "(touched)", "date"].drop_duplicates()
    assert len(dates) == 39
    assert (dates + pd.Timedelta(days=27) < pd.Timestamp(DATE)).all()
    assert set(dates.dt.dayofweek) == {pd.Timestamp(DATE).dayofweek}
    row = found.table.iloc[0]
    found_there = found.placebo[(found.placebo["group"] == row["group"]) & (found.placebo["window"] == row["window"])]
    statistic = (np.log(found_there["hazard_ratio"]) / found_there["std_error"]).abs()
    half = (np.log(row["upper"]) - np.log(row["lower"])) / 2
    from churnsurv.numerics.day_clusters import student_quantile

    own = abs(np.log(row["hazard_ratio"])) / (half / student_quantile(0.95, 48))
    assert row["placebo_p_value"] == pytest.approx((1 + (statistic >= own).sum()) / 40)


def test_rank_p_values_count_the_date_itself() -> None:
    assert rank_p_value(-9.0, np.zeros(39)) == pytest.approx(1 / 40)
    assert np.isnan(rank_p_value(float("nan"), np.zeros(3)))
    assert np.isnan(rank_p_value(1.0, np.zeros(0)))


def test_untouched_groups_stand_apart(found: ShockEffect) -> None:
    own = found.untouched[found.untouched["measure"] == "own"]
    assert set(own["group"]) == {"organic"}
    against = found.untouched[found.untouched["measure"] == "against untouched"]
    assert "(touched)" in set(against["group"])
    assert "organic" not in set(against["group"])
    ours = found.table[(found.table["group"] == "(touched)") & (found.table["users"] == "living")].set_index("window")
    theirs = own.set_index("window")["hazard_ratio"]
    ratios = against[against["group"] == "(touched)"].set_index("window")["hazard_ratio"]
    np.testing.assert_allclose(ratios, (ours["hazard_ratio"] / theirs)[ratios.index])


def test_days_before_and_after_are_told(found: ShockEffect) -> None:
    days = found.daily[found.daily["group"] == "(touched)"]
    assert days["since"].tolist() == list(range(-56, 28))
    assert days.loc[days["weekend"], "date"].dt.dayofweek.min() == 5
    before = days[days["since"] < 0]
    assert before["expected"].sum() == pytest.approx(before["observed"].sum(), rel=0.01)


def test_the_last_day_and_days_outside_the_log_are_refused(log: ActivityLog) -> None:
    with pytest.raises(FollowUpError, match="last day of the log: nobody was followed"):
        quick(log, log.observed_until)
    with pytest.raises(FollowUpError, match="lies outside the log"):
        quick(log, "2031-01-01")
    with pytest.raises(FollowUpError, match="too short a time before it"):
        quick(log, log.observed_from + datetime.timedelta(days=40))
    with pytest.raises(FollowUpError, match=r"'gone'.*outside"):
        quick(log, calendar(("gone", "2031-01-01", "2031-01-02")))


def test_what_of_a_calendar_cannot_be_judged_is_said(log: ActivityLog) -> None:
    table = calendar(
        ("late", str(log.observed_until), str(log.observed_until)), ("news", DATE, DATE), ("rumour", DATE, DATE)
    )
    result = quick(log, table)
    assert set(result.table["name"]) == {"news + rumour"}
    notes = " ".join(result.notes)
    assert "'late'" in notes
    assert "'news' and 'rumour' begin on one day" in notes


def test_events_of_one_name_are_told_apart_by_their_day(log: ActivityLog) -> None:
    result = quick(log, calendar(("payday", DATE, DATE), ("payday", "2024-10-02", "2024-10-02")))
    assert result.table["name"].unique().tolist() == ["payday (2024-09-02)", "payday (2024-10-02)"]
    assert result.daily.groupby("name").size().tolist() == [84, 84]


def test_overlapping_shocks_are_judged_up_to_the_next_and_not_compared_with(log: ActivityLog) -> None:
    result = quick(log, calendar(("first", DATE, DATE), ("second", "2024-09-12", "2024-09-14")))
    last = result.table.groupby("name")["last"].max()
    assert last["first"] == pd.Timestamp("2024-09-11")
    assert "'first' overlaps with 'second'" in " ".join(result.notes)
    second = result.daily[(result.daily["name"] == "second") & (result.daily["since"] < 0)]
    assert len(second) == 56
    assert (second["date"] < pd.Timestamp(DATE)).all()
    windows = result.table.loc[result.table["name"] == "second", ["window", "first", "last"]]
    assert windows["window"].tolist() == [
        "during",
        "day 1-3 after",
        "day 4-7 after",
        "day 8-14 after",
        "day 15-28 after",
        "all days",
    ]
    assert (windows["first"].iloc[1] - windows["last"].iloc[0]).days == 1


def test_a_shock_shortly_before_the_end_is_followed_as_far_as_the_log_goes(log: ActivityLog) -> None:
    day = log.observed_until - datetime.timedelta(days=4)
    result = quick(log, day)
    assert "is followed for 5 days only" in " ".join(result.notes)
    assert result.table["window"].tolist() == ["day 0-3", "day 4", "all days"]


def test_active_only_judges_gaps_begun_since_the_date(log: ActivityLog) -> None:
    result = quick(log, DATE, reaches="active")
    counts = return_days(log, first=DATE, last="2024-09-29")
    since = np.arange(30)[None, :] + 1 <= np.arange(28)[:, None]
    assert result.table["observed"].iloc[-1] == counts.returned.sum(axis=0)[since].sum()
    assert "Only users who were active" in " ".join(result.notes)


def test_small_groups_are_pooled_and_days_left_out_said(log: ActivityLog) -> None:
    holidays = pd.DataFrame({"name": ["feast"], "date": ["2024-09-05"]})
    result = quick(log, DATE, by="channel", min_users=60, leave_out=["2024-09-04", "2024-08-15"], holidays=holidays)
    notes = " ".join(result.notes)
    assert "together as '(small)'" in notes
    assert "2 days after the date do not count" in notes
    days = result.daily[result.daily["group"] == "(all)"]
    unused = days.loc[~days["used"], "date"].dt.strftime("%m-%d").tolist()
    assert unused == ["09-04", "09-05"]
    assert "2024-08-15" not in set(days["date"].dt.strftime("%Y-%m-%d"))


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"by": "chanel"}, "Did you mean 'channel'"),
        ({"untouched": ("organic",)}, "say which column"),
        ({"by": "channel", "untouched": "organic"}, "sequence of groups"),
        ({"by": "channel", "untouched": ("organc",)}, "Did you mean 'organic'"),
        ({"before": 10}, "before"),
        ({"after": 0}, "after"),
        ({"windows": (8, 4)}, "ascending"),
        ({"reaches": "activ"}, "Did you mean 'active'"),
        ({"min_users": 0}, "min_users"),
        ({"leave_out": list(pd.date_range("2024-09-02", periods=28).date)}, "none of the days after the date counts"),
        ({"leave_out": list(pd.date_range("2024-07-08", periods=40).date)}, "fewer than 28 days before the date count"),
        ({"adjust": "hol"}, "adjust"),
        ({"level": 95}, "level"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(log: ActivityLog, keywords: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        quick(log, DATE, **keywords)


def test_a_calendar_needs_names_and_days(log: ActivityLog) -> None:
    with pytest.raises(SchemaError):
        quick(log, pd.DataFrame({"name": ["news"]}))
    with pytest.raises(InputError, match="no dates"):
        quick(log, pd.DataFrame({"name": [], "date": []}))


def test_too_few_users_are_refused() -> None:
    users = pd.DataFrame({"user_id": range(5), "registered_at": "2024-01-01"})
    events = pd.DataFrame(
        {"user_id": 0, "event_at": pd.date_range("2024-01-02", "2024-06-30", freq="40D"), "kind": "login"}
    )
    with pytest.raises(InputError, match="too few users of"):
        quick(ActivityLog(events, users, observed_until="2024-06-30"), "2024-05-01")


def test_good_news_brings_back() -> None:
    """Returns of a fifth of the idle users are added on a day, of the living and of the churned."""
    app = ch.simulate_app(3_000, seed=2, campaigns=())
    users = app.users
    rng = np.random.default_rng(0)
    chosen = users[(users["registered_at"] < "2024-08-01") & (rng.random(len(users)) < 0.2)]["user_id"]
    more = pd.DataFrame({"user_id": chosen, "event_at": pd.Timestamp("2024-09-03 12:00"), "kind": "login"})
    events = pd.concat([app.events, more], ignore_index=True)
    log = ActivityLog(events, users, observed_from=app.log.observed_from, observed_until=app.log.observed_until)
    result = shock_effect(log, DATE, placebo=False)
    assert result.lost["back_lower"].iloc[0] > 10
    first = result.table[result.table["window"] == "day 0-3"].set_index("users")
    assert first.loc["living", "lower"] > 1
    assert first.loc["churned", "observed"] > 3 * first.loc["churned", "expected"]


@pytest.mark.parametrize("ratio", [0.6, 1.5])
def test_planted_news_good_or_bad_is_found_with_its_length_and_its_loss(ratio: float) -> None:
    from churnsurv.diagnosis.shock_fit import Calendar
    from churnsurv.diagnosis.shock_rows import duration_rows, effect_rows, lost_rows
    from churnsurv.diagnosis.shock_study import studied

    world = worlds.World(rate=200, noise=0.03, ratios=(ratio, ratio, 1.0, 1.0))
    group = worlds.drawn_counts(world, np.random.default_rng(1))
    calm = Calendar((), True, frozenset())
    study = studied(worlds._plan(world), group, (), calm, worlds.FIRST, worlds.IDLE_DAYS)
    assert study is not None
    rows = effect_rows([study], level=0.95, adjust="holm")
    for row, planted in zip(rows, world.ratios, strict=False):
        assert row["lower"] < planted < row["upper"]
    (length,) = duration_rows([study], rows, level=0.95)
    assert length["found"]
    assert length["days_lower"] <= 8 <= length["days_upper"]
    assert not length["lasting"]
    (loss,) = lost_rows([study], calm, idle_days=30, level=0.95)
    assert loss["lower"] < worlds.true_loss(world, group.at_risk[:, world.date]) < loss["upper"]
    assert (loss["lower"] > 0) if ratio < 1 else (loss["upper"] < 0)


def test_the_experiments_run() -> None:
    """A smoke of the slow suite: what holds there at full size is at least worked out here."""
    figures = worlds.shock_variances(12)
    coverage = {figure.case: figure.value for figure in figures}
    assert coverage["1 day, days of the past"] > coverage["1 day, chance alone"] - 1e-9
    assert len(figures) == 15


def test_the_figure_is_that_of_the_first_shock_and_group(found: ShockEffect) -> None:
    from matplotlib import pyplot

    ax = found.plot()
    assert "2024-09-02, (touched)" in [text.get_text() for text in ax.texts]
    pyplot.close("all")


@pytest.mark.parametrize("windows", [(4, 8, 15, 29), (15,)])
def test_a_total_outage_is_an_effect_of_four_days(dark: ActivityLog, windows: tuple[int, ...]) -> None:
    result = quick(dark, day(150), windows=windows)
    first, last = result.table.iloc[0], result.table.iloc[-1]
    assert first["upper"] < 0.95
    assert first["adjusted_p_value"] < 0.01
    assert last["hazard_ratio"] < 0.95
    length = result.duration.iloc[0]
    assert (length["days"], length["days_lower"], length["days_upper"]) == (4, 4, 4)
    said = "nobody returned on day 0-3 ((all))" in " ".join(result.notes)
    assert said == (windows[0] == 4)
    if said:
        assert first["observed"] == 0
        assert first["hazard_ratio"] == pytest.approx(0.5 / first["expected"], rel=0.1)
        assert result.lost["lower"].iloc[0] > 0


def test_a_shock_that_cannot_be_judged_is_not_learnt_from_either() -> None:
    days = np.arange(200)
    log = made(np.where((days >= 50) & (days < 65), 0.04, 0.12), 400)
    table = calendar(("early", str(day(50)), str(day(50))), ("late", str(day(130)), str(day(130))))
    result = shock_effect(log, table, churned=0)
    learnt = result.daily.loc[result.daily["since"] < 0, "date"]
    assert len(learnt) == 56
    assert not learnt.between(pd.Timestamp(day(50)), pd.Timestamp(day(77))).any()
    assert "Days on which 'early' may still show are not compared with" in " ".join(result.notes)
    row = result.table.iloc[-1]
    assert row["lower"] < 1 < row["upper"]
    for start in result.placebo["date"].unique():
        assert start > pd.Timestamp(day(77)) or start + pd.Timedelta(days=27) < pd.Timestamp(day(50))


def test_a_shock_on_the_last_day_cuts_the_one_before(log: ActivityLog) -> None:
    end = log.observed_until
    news = str(end - datetime.timedelta(days=9))
    result = quick(log, calendar(("news", news, news), ("late", str(end), str(end))))
    assert result.table["last"].max() == pd.Timestamp(end) - pd.Timedelta(days=1)
    assert "cannot be told from that one" in " ".join(result.notes)


def test_a_channel_that_began_lately_is_learnt_from_its_own_days(young: ActivityLog) -> None:
    result = quick(young, day(150), by="channel", untouched=("seo",), min_users=50)
    days = result.daily.groupby("group")["since"].min()
    assert days.to_dict() == {"(touched)": -56, "other": -56, "seo": -56, "tv": -35}
    against = result.untouched[(result.untouched["measure"] == "against untouched")].set_index("group")
    assert against.loc["tv", ["lower", "upper"]].notna().all(axis=None)
    early = quick(young, day(135), by="channel", min_users=50)
    assert "tv" not in set(early.table["group"])
    assert "users of 'tv' are there on 20 of the days before the date, and 28 are needed" in " ".join(early.notes)


def test_pooling_does_not_hang_on_placebo_dates(young: ActivityLog) -> None:
    found = [quick(young, day(160), by="channel", min_users=120, placebo=placebo) for placebo in (False, True)]
    assert [set(each.table["group"]) for each in found] == [{"(all)", "other", "seo", "tv"}] * 2


def test_a_group_called_other_is_no_pool() -> None:
    n = np.arange(400)
    names = np.where(n % 20 == 0, "tiny", np.where(n % 20 == 1, "small", np.where(n % 3 == 0, "other", "big")))
    log = made(np.full(140, 0.12), 400, names)
    result = quick(log, day(110), by="channel", untouched=("other",), min_users=50)
    assert result.table["group"].unique().tolist() == ["(touched)", "big", "(small)", "other"]
    assert result.untouched_groups == ("other",)
    pooled = quick(log, day(110), by="channel", untouched=("tiny",), min_users=50)
    assert pooled.untouched_groups == ("(small untouched)",)
    assert pooled.lost["group"].tolist() == ["(touched)", "big", "other", "(small)", "(small untouched)"]


def test_values_that_look_like_groups_together_are_refused() -> None:
    odd = made(np.full(110, 0.12), 40, np.array(["(all)", "x"])[np.arange(40) % 2])
    with pytest.raises(InputError, match=r"has the value '\(all\)'.*Rename"):
        quick(odd, day(90), by="channel")
    gone = made(np.full(110, 0.12), 40, np.array(["(none)", None], dtype=object)[np.arange(40) % 2])
    with pytest.raises(InputError, match=r"has the value '\(none\)'"):
        quick(gone, day(90), by="channel")


def test_untouched_groups_may_be_numbers() -> None:
    log = made(np.full(110, 0.12), 200, np.arange(200) % 3)
    assert quick(log, day(90), by="channel", untouched=(1,), min_users=20).untouched_groups == ("1",)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"by": "channel", "untouched": None}, "untouched is a sequence of groups"),
        ({"by": "channel", "untouched": (7,)}, "there is no group '7'"),
        ({"windows": 4}, "windows is a sequence of days"),
        ({"leave_out": "2024-06-01"}, "leave_out is a sequence of days"),
        ({"reaches": "active", "after": 1}, "there are no users of '.all.' to reach"),
    ],
)
def test_these_too_are_said_in_words(log: ActivityLog, keywords: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        quick(log, DATE, **keywords)


def test_to_raise_after_is_advised_only_where_it_helps() -> None:
    log = made(np.where(np.arange(200) < 120, 0.12, 0.05), 300)
    whole = " ".join(quick(log, day(120)).notes)
    assert "Raise after above 28" in whole
    cut = quick(log, calendar(("a", str(day(120)), str(day(120))), ("b", str(day(130)), str(day(130)))))
    (about,) = [note for note in cut.notes if note.startswith("'a' still shows")]
    assert "does not add any" in about


def test_the_earliest_date_has_28_days_before_it(dark: ActivityLog) -> None:
    with pytest.raises(FollowUpError, match="too short a time before it"):
        quick(dark, day(57))
    assert quick(dark, day(58)).daily["since"].min() == -28


def test_users_who_return_every_day_have_no_hazard() -> None:
    with pytest.raises(InputError, match="return on every day before the date"):
        quick(made(np.ones(100), 20), day(80))


def test_placebo_dates_are_there_where_another_shock_shortens_the_days_before(log: ActivityLog) -> None:
    table = calendar(("long", "2024-05-01", "2024-07-01"), ("news", DATE, DATE))
    result = quick(log, table, placebo=True)
    before = result.daily[(result.daily["name"] == "news") & (result.daily["since"] < 0)]
    assert len(before) < 56
    assert result.placebo[result.placebo["name"] == "news"]["date"].nunique() > 30


def test_tests_that_share_their_days_reject_together() -> None:
    """The same date 39 times rejects 39 times in one of twenty logs; dates apart are as good as independent."""

    def dates(step: int, n: int) -> list[Placebo]:
        found = []
        for place in range(n):
            days = np.arange(84) + step * place
            exposure = np.concatenate([np.full(56, -1 / 56), np.full(28, 1 / 28)])
            found.append(Placebo(int(days[56]), np.zeros(1), np.ones(1), 48, days[:56], days, exposure))
        return found

    assert quiet_p_value(dates(0, 39), 39, 0.05) == pytest.approx(0.05, abs=0.02)
    assert quiet_p_value(dates(84, 10), 3, 0.05) == pytest.approx(0.0115, abs=0.01)
    assert quiet_p_value(dates(7, 39), 6, 0.05) > 0.03  # 15 % of 39


def test_an_outage_is_in_sight_at_the_end_of_the_axis(dark: ActivityLog) -> None:
    from matplotlib.figure import Figure

    ax = quick(dark, day(150)).plot(Figure().add_subplot())
    drawn = [line.get_ydata()[0] for line in ax.lines if len(line.get_ydata()) == 2]
    assert 0.05 in drawn
    assert ax.get_ylim()[0] < 0.05
    assert ax.get_yticklabels()[0].get_text() == "≤0.05"


def test_an_effect_that_no_day_tells_alone_has_no_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """On all days together it is clear; each day by itself has too few returns for a ratio."""
    shock = ch.simulation.Shock(datetime.date(2025, 4, 7), datetime.date(2025, 4, 20), factor=30.0)
    log = ch.simulate_app(1_200, seed=6, shocks=[shock]).log
    dates = calendar(("news", "2025-04-07", "2025-04-20")).rename(columns={"first": "start", "last": "end"})
    told = quick(log, dates).duration
    assert told["found"].all()
    assert told["days"].notna().all()
    monkeypatch.setattr(shock_rows, "_by_day", lambda fitted: (np.full(fitted.days.size, np.nan),) * 2)
    silent = quick(log, dates).duration
    assert silent["found"].all()
    assert not silent["lasting"].any()
    assert silent[["days", "days_lower", "days_upper"]].isna().all(axis=None)
