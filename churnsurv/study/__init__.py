"""A whole study in one file: sources, rule, groups and model in, a result and its report out.

`Study.from_toml(path).run().report(folder)` is the story on one line; `init_study` and `demo_study` write a study file
to begin with.
"""

from __future__ import annotations

from churnsurv.doors import doors

_HOME = {
    "Campaigns": "recall",
    "Score": "score",
    "Study": "study",
    "StudyConfig": "config",
    "StudyResult": "result",
    "ThresholdsAndTiers": "warn",
    "WhoChurns": "who",
    "WhyTheyLeave": "why",
    "check_study": "check",
    "demo_study": "demo",
    "fit_study_tiers": "score",
    "in_words": "check",
    "init_study": "init",
}

__all__ = [*_HOME]
__getattr__, __dir__ = doors(__name__, _HOME)
