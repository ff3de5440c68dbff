"""The demonstration: a simulated app with known truth, its study file and its report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from churnsurv.study.provenance import hash_text
from churnsurv.study.text import write_text

__all__ = ["Demo", "demo_study", "write_demo"]

STUDY = """\
# A study of the simulated app beside this file. Run it again with: churnsurv report study.toml
# The truth that the data were drawn from stands in churnsurv.simulate_app({n_users}, seed={seed}).truth

[study]
title = "Churn in a simulated investment app"
about = "Simulated: churnsurv.simulate_app({n_users}, seed={seed})"
seed = {seed}
lang = "en"
folder = "report"                    # where the report goes, beside this file

[sources]
events = "events.parquet"
users = "users.parquet"
balances = "balances.parquet"        # balance at the end of each day on which money moved
feedback = "feedback.parquet"        # what a part of the churned said on why they left
costs = "costs.parquet"              # what registrations cost, by day and channel
assignments = "campaigns.parquet"    # who was drawn into which arm of which campaign
opt_outs = "opt_outs.csv"            # who must not be contacted; nobody yet

[window]
observed_from = {first}
observed_until = {last}

[clock]
timestamps = "UTC"                   # what a time without zone means
time_zone = "UTC"                    # whose midnight ends a day

[rule]
idle_days = 30                       # churn: this many days without activity
activity = ["login", "invest"]
sensitivity = [14, 21, 30, 45, 60]   # the same answers under these rules

[stages]
by = "n_investments"
starts = {{ new = 0, growth = 3, mature = 10 }}

[groups]
by = ["channel", "cohort"]           # cohort: month of registration

[cox]
formula = "channel + campaign + device"
reference = {{ channel = "organic", campaign = "none", device = "android" }}
# A quarter of the users never comes back after registration and churns on day 30, the first day on which anybody can.
# Efron's and Breslow's ties pull the ratios towards 1 on such a day; taking whole days as intervals does not.
ties = "grouped"

[who_churns]
horizons = [30, 90, 180]             # churn within so many days
window = 30                          # churned and retained are compared on what they did in these first days
profile_horizon = 180                # the churned: by this day
margin = {{ invested_day = 0.000018 }} # of each unit held at the end of a day: 0.66 % a year
value_horizon = 180                  # days for which users are weighed against what they cost
min_users = 30                       # smaller groups are pooled

[why]                                # why they leave: what they said, and returns watched day by day
within = 30                          # an answer counts if it comes up to so many days after the churn
horizon = 365                        # last day of the shares by reason over time
# This app has no problems in its log. With events such as "crash", "lag" or "complaint", or problems = ["timeout"], the
# report says how users go on after them. News and outages are entries of the calendar: [[calendar]] kind = "news".

[why.monitor]
smallest_drop = 0.2                  # what is to be noticed: a fifth fewer returns
false_alarms = 1.0                   # a year, over all groups together

[warning]                            # how likely the silent churn, and from which idle day to warn
by = {{ balance = [100, 1000, 10000] }}
variables = ["balance", "n_investments"]
missing = {{ balance = 0 }}            # nobody without a record of a balance ever had one

# What tiers are for, highest first. The values are ASSUMPTIONS: a user saved brings the margin above for a year on
# 9,000, a call costs 4, and it keeps 3 of 10 early on, half of that by idle day 20. The rules follow from them as much
# as from the data, and the report shows what other assumptions give. Replace them by what your own campaigns measured.
[warning.tiers.high]                 # a call, where it pays
saved_value = 60
contact_cost = 4
saving = {{ shape = "plateau", top = 0.3, middle = 20, width = 3 }}

[warning.tiers.medium]               # a personal offer, right at least every other time
precision = 0.5

[warning.tiers.low]                  # a message, as many a day as go out
per_day = {per_day}

[warning.backtest]                   # the tiers on days that they had not seen, beside other rules
origins = 4                          # fitted to what was known on so many days
test_days = 90                       # and judged on the gaps that began in these days after
capacity = [{per_day}]                      # what so many first alerts a day would catch

[campaigns]                          # what they brought back
campaign = "recall"                  # to users who had churned; without this key, each campaign
control = "none"                     # the arm without a contact
horizon = 60                         # days, the assignment's being the first; twice idle_days, to see who stays
by = ["channel"]                     # returns by group
margin = 0.0066                      # what a unit re-invested brings: the margin above, for a year
smallest_lift = 1.2                  # odds ratio of return below which a running campaign may be given up

[score]                              # the daily run: churnsurv tiers study.toml, then every day churnsurv score
scheme = "tiers.json"                # the warning tiers as they were fitted
policy = "policy.toml"               # who is contacted how
ledger = "contacts.duckdb"           # what was sent to whom: the only file that remembers anything
folder = "score"                     # where alerts and plans go
hysteresis = {{ balance = 0.1 }}       # in a tier at "balance < 100", a user stays in it up to 110
{calendar}
[report]
horizon = 90                         # days
level = 0.95
"""
POLICY = """\
# Who is contacted how: a policy of the daily run. A tier has a sequence of contacts; the next one follows where nobody
# answers the one before. Offers are tried from the top, and the first whose conditions hold is made.

campaign = "early-warning"           # lots are drawn once for each campaign and user; a new name draws anew
key = "{key}"   # keeps lots from being guessed: choose your own, and never change it during a campaign
holdout = 0.1                        # this share is never contacted, so that the effect can be measured

[channels.sms]
cost = 0.08
per_day = {per_day}

[channels.push]
cost = 0.02

[channels.in_app]

[contacts]
high = ["sms"]
medium = ["in_app", "push", {{ channel = "sms", after = 3 }}]
low = ["push"]

[[offers]]                           # high value, and the money is gone: a reward for investing again
name = "red envelope"
when = ["total_amount >= 50000", "balance < 100"]
reward = {{ share = 0.01, reinvest = 0.1, balance_below = 100, cap = 2000 }}

[[offers]]
name = "experience voucher"
when = ["n_investments <= 2"]
messages = ["Try a plan with a voucher of 50"]

[[caps]]                             # no user more than two contacts a week, over all channels
most = 2
days = 7

[quiet]                              # no contact at night
start = "21:00"
end = "09:00"
"""
CALENDAR = """
[[calendar]]
name = "{name}"
kind = "{kind}"
first = {first:%Y-%m-%d}
last = {last:%Y-%m-%d}
"""


@dataclass(frozen=True, slots=True)
class Demo:
    """Where the demonstration was written, and what it found."""

    folder: Path
    study: Path
    report: Path
    findings: tuple[str, ...]
    last_day: date


def demo_study(folder: str | Path, *, n_users: int = 20_000, seed: int = 0, progress: bool = False) -> Demo:
    """Simulate an app, write its logs and a study file, run the study and write the report.

    Parameters
    ----------
    folder : str or Path
        Made where it is not there. The app's tables (`events.parquet`, `users.parquet`, `balances.parquet`, ...),
        `study.toml`, `policy.toml`, `opt_outs.csv` and the folder `report` in it are replaced.
    n_users : int
    seed : int
        The same seed gives the same files.
    progress : bool
        Show progress bars on a terminal.

    Returns
    -------
    Demo
    """
    from churnsurv.study.study import Study

    path, last_day = write_demo(folder, n_users=n_users, seed=seed, progress=progress)
    study = Study.from_toml(path)
    result = study.run(progress=progress)
    report = result.report(study.folder, progress=progress)
    return Demo(path.parent, path, report, result.findings, last_day)


def write_demo(folder: str | Path, *, n_users: int, seed: int = 0, progress: bool = False) -> tuple[Path, date]:
    """Simulate an app and write its logs and a study file; see `demo_study`.

    Returns
    -------
    The study file, and the last day of the log.
    """
    from churnsurv.simulation import simulate_app

    app = simulate_app(n_users, seed)
    folder = app.write(folder, progress=progress)
    calendar = "".join(CALENDAR.format_map(event) for event in app.calendar.to_dict("records"))
    window = {"first": app.observed_from, "last": app.observed_until}
    per_day = max(3 * n_users // 1000, 1)
    text = STUDY.format(n_users=n_users, seed=seed, per_day=per_day, calendar=calendar, **window)
    path = write_text(folder / "study.toml", text)
    key = hash_text(f"churnsurv demo {seed}")[:24]
    write_text(folder / "policy.toml", POLICY.format(key=key, per_day=per_day))
    write_text(folder / "opt_outs.csv", "user_id,channel\n")
    return path, app.observed_until
