"""The command line: parse, call the study room, print. Nothing is computed here.

Exit codes: 0 fine, 2 the input is at fault, 3 the data is not ready, 1 our fault, 130 and 143 stopped from outside.
"""

from __future__ import annotations

import signal
import sys
import threading
import tomllib
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from churnsurv import __version__
from churnsurv.errors import ChurnsurvError, ChurnsurvWarning, InputError

__all__ = ["app", "main"]

app = typer.Typer(
    name="churnsurv",
    help="Survival analysis of customer churn: from raw logs to a report.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

#: What is left with after Ctrl-C, and after a plain kill.
_STOPPED = (128 + signal.SIGINT, 128 + signal.SIGTERM)

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY", help="The study file, such as study.toml.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Replace a setting, such as rule.idle_days=45. Repeatable."),
]


def main() -> None:
    """Run the command line; a `ChurnsurvError` is one message on stderr and its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    # A plain kill would leave drafts and the engine's spilled files behind; leaving in the ordinary way clears them.
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _leave)
    try:
        with _warnings_in_words():
            app()
    except SystemExit as left:
        if left.code in _STOPPED:
            _say("churnsurv: stopped before the end. Run it again: nothing is done twice.", to=sys.stderr)
        raise
    except ChurnsurvError as error:
        _say(f"churnsurv: {error}", to=sys.stderr)
        sys.exit(error.exit_code)
    except Exception as error:
        if "--debug" in sys.argv[1:]:
            raise
        _say(f"churnsurv: unexpected {type(error).__name__}: {error}", to=sys.stderr)
        _say("This is a fault of churnsurv. `churnsurv --debug ...` shows where it happened.", to=sys.stderr)
        sys.exit(1)


@contextmanager
def _warnings_in_words() -> Iterator[None]:
    """Print our warnings as messages, without the line of code that they come from."""
    with warnings.catch_warnings():
        plainly = warnings.showwarning

        def told(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if issubclass(category, ChurnsurvWarning):
                _say(f"churnsurv: {message}", to=sys.stderr)
            else:
                plainly(message, category, *where, **more)

        warnings.showwarning = told
        yield


def _leave(signum: int, _: object) -> None:
    sys.exit(128 + signum)


def _show_version(asked: bool) -> None:
    if asked:
        _say(f"churnsurv {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an unexpected error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version.")
    ] = False,
) -> None:
    del debug, version  # `main` looks for the first among the arguments, because it sees every error


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write.")] = Path("churnsurv-demo"),
    users: Annotated[int, typer.Option(help="Number of simulated users.")] = 20_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same data.")] = 0,
) -> None:
    """Simulate an app with known truth, study it, and write the report."""
    from churnsurv.study import demo_study

    made = demo_study(folder, n_users=users, seed=seed, progress=True)
    _list(made.findings)
    _say(f"\nReport: {_from_here(made.report)}")
    _say(f"Study:  {made.study}   (change it and run: churnsurv report {made.study})")
    _say(f"Daily:  churnsurv tiers {made.study}; churnsurv score {made.study} --as-of {made.last_day}")


@app.command()
def init(
    events: Annotated[str, typer.Argument(metavar="EVENTS", help="Parquet or CSV file of events, or a glob.")],
    users: Annotated[str, typer.Argument(metavar="USERS", help="Parquet or CSV file of users, or a glob.")],
    output: Annotated[Path, typer.Option(help="The study file to write.")] = Path("study.toml"),
) -> None:
    """Look at two files and write a commented study file for them, with the evidence for each choice."""
    from churnsurv.study import init_study

    made = init_study(events, users, output, progress=True)
    width = max(len(topic) for topic, _ in made.evidence)
    for topic, why in made.evidence:
        _say(f"{topic:<{width}}  {why}")
    _say("")
    for line in made.chart:
        _say(line)
    _say(f"\nWritten: {made.path}. Look at it, then run: churnsurv check {made.path}; churnsurv report {made.path}")


@app.command()
def check(study: StudyFile, overrides: Overrides = None) -> None:
    """Check a study file and its tables, and list every problem at once. Writes nothing."""
    from churnsurv.study import check_study, in_words

    found = check_study(study, _parsed(overrides), progress=True)
    for problem in found.problems:
        _say(f"{problem.severity}: {in_words(problem)}")
    _say(f"{study}: {'fine' if found.ok else 'cannot run'} ({found._headline()})", to=None if found.ok else sys.stderr)
    if not found.ok:
        raise typer.Exit(InputError.exit_code)


@app.command()
def report(
    study: StudyFile,
    overrides: Overrides = None,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to write; by default the study's own folder.")
    ] = None,
    lang: Annotated[
        str | None, typer.Option(metavar="LANG", help="Language: en or zh-Hant; by default the study's own.")
    ] = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="Write report.pdf too; --open opens report.html.")] = False,
    section: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help="Only this section, by id or its beginning, such as why. Repeatable. By default it is written beside "
            "the whole report, into a folder whose name ends in -part.",
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the first page when it is written.")] = False,
) -> None:
    """Run a study and write its report."""
    from churnsurv.study import Study
    from churnsurv.study.reporting import report_study

    read = Study.from_toml(study, _parsed(overrides))
    formats = tuple(dict.fromkeys([*read.config.formats, *(["pdf"] if pdf else [])]))
    made = report_study(read, output, formats=formats, lang=lang, sections=section, progress=True)
    _list(made.findings)
    _say("")
    for page in made.pages:
        _say(f"Report: {_from_here(page)}")
    if show and not _opened(made.page):
        _say(f"No program here opens it: {made.page}", to=sys.stderr)


@app.command()
def tiers(
    study: StudyFile,
    overrides: Overrides = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Fit to what was known at the end of this day; by default to all."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to save them; by default score.scheme of the study.")
    ] = None,
) -> None:
    """Fit the warning tiers of a study and save them for `score`."""
    from churnsurv.study import Study, fit_study_tiers

    scheme, path, remarks = fit_study_tiers(Study.from_toml(study, _parsed(overrides)), until=until, output=output)
    for tier in scheme.tiers:
        _say(f"{tier.name}: {tier.rule}")
    _list(remarks)
    _say(f"\nTiers: {_from_here(path)}")


@app.command()
def score(
    study: StudyFile,
    as_of: Annotated[str, typer.Option("--as-of", metavar="DATE", help="The day; all is as known at its end.")],
    overrides: Overrides = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Record nothing; write into a folder dry-run beside the others.")
    ] = False,
) -> None:
    """Run a day: check that it is there, list the alerts, plan the contacts, record and write them."""
    from churnsurv.study import Study

    done = Study.from_toml(study, _parsed(overrides)).score(as_of, dry_run=dry_run, progress=True)
    _say(done.to_text())
    _say(f"\nPage: {_from_here(done.page)}")


def _parsed(overrides: Iterable[str] | None) -> dict[str, object]:
    """``rule.idle_days=45`` as a key and a TOML value; a value that is not TOML is a text."""
    parsed: dict[str, object] = {}
    for item in overrides or ():
        key, sign, value = item.partition("=")
        if not sign or not key.strip():
            raise InputError(f"--set takes KEY=VALUE, such as rule.idle_days=45; found {item!r}.")
        try:
            parsed[key.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            parsed[key.strip()] = value.strip()
    return parsed


def _opened(page: Path) -> bool:
    import webbrowser

    return webbrowser.open(page.resolve().as_uri())


def _from_here(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _list(lines: Iterable[str]) -> None:
    for line in lines:
        _say(f"- {line}")


def _say(text: str, *, to: Any = None) -> None:
    """Print as plain text: control characters of the data cannot steer the terminal."""
    shown = "".join(c if c.isprintable() or c in "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
    typer.echo(shown, file=to or sys.stdout)
