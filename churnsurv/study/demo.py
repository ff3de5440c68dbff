"""The demonstration: a simulated app with known truth, its study file and its report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from churnsurv.study.text import write_text

__all__ = ["Demo", "demo_study"]

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

[groups]
by = ["channel", "cohort"]           # cohort: month of registration

[cox]
formula = "channel + campaign + device"
reference = {{ channel = "organic", campaign = "none", device = "android" }}

[report]
horizon = 90                         # days
level = 0.95
"""


@dataclass(frozen=True, slots=True)
class Demo:
    """Where the demonstration was written, and what it found."""

    folder: Path
    study: Path
    report: Path
    findings: tuple[str, ...]


def demo_study(folder: str | Path, *, n_users: int = 20_000, seed: int = 0, progress: bool = False) -> Demo:
    """Simulate an app, write its logs and a study file, run the study and write the report.

    Parameters
    ----------
    folder : str or Path
        Made where it is not there. `users.parquet`, `events.parquet`, `study.toml` and the folder `report` in it
        are replaced.
    n_users : int
    seed : int
        The same seed gives the same files.
    progress : bool
        Show progress bars on a terminal.

    Returns
    -------
    Demo
    """
    from churnsurv.simulate import FIRST_DAY, LAST_DAY, simulate_app
    from churnsurv.study.study import Study

    app = simulate_app(n_users, seed)
    folder = app.write(folder, progress=progress)
    text = STUDY.format(n_users=n_users, seed=seed, first=FIRST_DAY, last=LAST_DAY)
    path = write_text(folder / "study.toml", text)
    study = Study.from_toml(path)
    result = study.run(progress=progress)
    report = result.report(study.folder, progress=progress)
    return Demo(folder, path, report, result.findings)
