"""A report as a folder, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from churnsurv.errors import InputError
from churnsurv.report.figures import drawings, figure_csv, on_paper
from churnsurv.report.model import Report
from churnsurv.report.render import render_html
from churnsurv.report.section_method import versions
from churnsurv.tables import plain

__all__ = ["MANIFEST", "write"]

MANIFEST = "manifest.json"
PAGE = "report.html"
_KIND = "churnsurv report"
_STRAY = {".DS_Store", "Thumbs.db", "desktop.ini"}  # left by file managers; nobody's work


def write(report: Report, folder: str | Path) -> Path:
    """Write a report into a folder: `report.html, result.json, figures/*.csv, figures/*.svg, manifest.json`.

    Everything is made in a temporary folder beside it, which then takes its place in one step. If anything fails, the
    folder is as it was before, and nothing else is left.

    Parameters
    ----------
    report : Report
    folder : str or Path
        Made where it is not there. A folder that is there is replaced only if it is empty or holds a report of ours
        and nothing else.

    Returns
    -------
    Path
        The page to open.

    Raises
    ------
    InputError
        If the folder can't be replaced or written: what stands in the way, and what to do.

    Examples
    --------
    >>> import tempfile
    >>> from churnsurv.report import build
    >>> with tempfile.TemporaryDirectory() as here:
    ...     page = write(build(title="Churn"), Path(here) / "report")
    ...     sorted(path.name for path in page.parent.iterdir())
    ['manifest.json', 'report.html', 'result.json']
    """
    target = Path(folder).expanduser().resolve()
    _check_target(target)
    files = _files(report)
    files[MANIFEST] = _manifest(report, files)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _beside(target, "new") as new:
            for name, content in files.items():
                path = new / name
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(content)
            _take_the_place(target, new)
    except OSError as fault:
        raise InputError(
            f"The report can't be written to {str(folder)!r}: {fault.strerror or fault}. Check that the disk has room "
            "and that you may write there, or name another folder."
        ) from fault
    return target / PAGE


def _files(report: Report) -> dict[str, bytes]:
    """Every file but the manifest, in order of name."""
    drawn = {figure.name: drawings(figure) for figure in report.figures}
    files = {PAGE: render_html(report, drawn), "result.json": report.to_json() + "\n"}
    for figure in report.figures:
        files[figure.data_file] = figure_csv(figure)
        files |= {f"figures/{each.name}.svg": on_paper(each) for each in drawn[figure.name]}
    return {name: files[name].encode("utf-8", errors="replace") for name in sorted(files)}


def _manifest(report: Report, files: Mapping[str, bytes]) -> bytes:
    given = report.provenance
    facts: dict[str, Any] = {
        "kind": _KIND,
        "version": 1,
        "title": report.title,
        "lang": report.lang,
        "versions": plain(versions(given)),
        "seed": plain(given.get("seed")),
        "inputs": plain(given.get("inputs") or {}),
        "files": {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in files.items()
        },
    }
    return (json.dumps(facts, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode("utf-8", errors="replace")


def _check_target(target: Path) -> None:
    """Refuse to replace anything but an empty folder or a whole report of ours."""
    if not target.exists():
        return
    if not target.is_dir():
        raise InputError(f"{str(target)!r} is a file, not a folder. Name another folder for the report.")
    there = {
        path.relative_to(target).as_posix()
        for path in target.rglob("*")
        if (not path.is_dir() or path.is_symlink()) and path.name not in _STRAY
    }
    if not there:
        return
    listed = _listed(target / MANIFEST)
    if listed is None:
        raise InputError(
            f"The folder {str(target)!r} holds files but no manifest of a report, so it is not replaced. Name another "
            "folder, or empty this one."
        )
    foreign = sorted(there - listed - {MANIFEST})
    if foreign:
        some = ", ".join(foreign[:3]) + (f" and {len(foreign) - 3} more" if len(foreign) > 3 else "")
        raise InputError(
            f"The folder {str(target)!r} holds files that are not of the report: {some}. Move them elsewhere; "
            "replacing the report would delete them."
        )


def _listed(manifest: Path) -> set[str] | None:
    """The files that a manifest of ours lists; None where there is no such manifest."""
    try:
        facts = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    ours = isinstance(facts, dict) and facts.get("kind") == _KIND and isinstance(facts.get("files"), dict)
    return set(facts["files"]) if ours else None


@contextmanager
def _beside(target: Path, what: str) -> Iterator[Path]:
    """A new folder beside the target, gone afterwards in any case."""
    path = target.with_name(f".{target.name}.{what}-{secrets.token_hex(4)}")
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _take_the_place(target: Path, new: Path) -> None:
    """Put the new folder where the target is; put the old one back if that fails."""
    if not target.exists():
        new.rename(target)
        return
    with _beside(target, "old") as old:
        aside = old / "report"
        target.rename(aside)
        try:
            new.rename(target)
        except BaseException:
            aside.rename(target)
            raise
