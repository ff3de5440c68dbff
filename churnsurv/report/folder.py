"""A report as a folder, written whole or not at all."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import re
import secrets
import shutil
import sys
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
    folder is as it was before, and nothing else is left. A run that is killed leaves the old report or the new one,
    whole, and perhaps its temporary folder, which the next one clears away.

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
        _clear(target)
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
    held = _hold(path)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        if held is not None:
            os.close(held)


def _take_the_place(target: Path, new: Path) -> None:
    """Put the new folder where the target is. Where the system can't swap the two, put the old one back on failure."""
    if not target.exists():
        new.rename(target)
        return
    if _swap(new, target):
        return  # the old report has the temporary name now, and goes with it
    with _beside(target, "old") as old:
        aside = old / "report"
        target.rename(aside)
        try:
            new.rename(target)
        except BaseException:
            aside.rename(target)
            raise


def _swap(one: Path, other: Path) -> bool:
    """Let two folders change names in one step of the file system; False where it has no such step.

    Two renames, one after the other, leave a moment without any report: a run killed right then would have lost it.
    """
    if sys.platform not in {"linux", "darwin"}:
        return False
    library = ctypes.CDLL(None)
    paths = os.fsencode(one), os.fsencode(other)
    try:
        if sys.platform == "darwin":
            return bool(library.renamex_np(*paths, 2) == 0)  # RENAME_SWAP
        here = -100  # AT_FDCWD; the paths are absolute
        return bool(library.renameat2(here, paths[0], here, paths[1], 2) == 0)  # RENAME_EXCHANGE
    except AttributeError:  # an older C library
        return False


def _hold(path: Path) -> int | None:
    """Lock a folder until this process closes the handle or ends, however it ends; None where there are no locks.

    Raises BlockingIOError where another process holds it.
    """
    try:
        import fcntl
    except ImportError:
        return None
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as fault:
        os.close(handle)
        if isinstance(fault, BlockingIOError):
            raise
        return None
    return handle


def _clear(target: Path) -> None:
    """Remove the temporary folders that killed runs left beside the target: those that nobody holds."""
    ours = re.compile(rf"\.{re.escape(target.name)}\.(new|old)-[0-9a-f]{{8}}")
    for path in sorted(target.parent.iterdir()):
        if not ours.fullmatch(path.name) or path.is_symlink() or not path.is_dir():
            continue
        try:
            held = _hold(path)
        except OSError:  # of a run that is at work, or not ours to remove
            continue
        if held is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(held)
