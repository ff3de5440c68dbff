"""A folder of files, written whole or not at all; a folder that is there is replaced only if it is ours."""

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from churnsurv.errors import DataNotReadyError, InputError
from churnsurv.tables import plain

__all__ = [
    "MANIFEST",
    "Contents",
    "Staged",
    "check_target",
    "facts_of",
    "is_whole",
    "manifest",
    "stage_whole",
    "staged_before",
    "write_whole",
]

MANIFEST = "manifest.json"
_MARK = 16  # digits of the hash of a manifest in the name of a staged folder
_STRAY = {".DS_Store", "Thumbs.db", "desktop.ini"}  # left by file managers; nobody's work


@dataclass(frozen=True, slots=True)
class Contents:
    """What a folder holds, as its manifest and its errors call it.

    Attributes
    ----------
    kind : str
        Of the manifest, such as "churnsurv report". A folder is replaced only by one of the same kind.
    one, the : str
        In errors: "a report", "the report".
    """

    kind: str
    one: str
    the: str


def write_whole(folder: str | Path, files: Mapping[str, bytes], contents: Contents) -> Path:
    """Write files into a folder, whole or not at all.

    Everything is made in a temporary folder beside it, which then takes its place in one step. If anything fails, the
    folder is as it was before, and nothing else is left. A run that is killed leaves the old folder or the new one,
    whole, and perhaps its temporary folder, which the next one clears away.

    Parameters
    ----------
    folder : str or Path
        Made where it is not there. A folder that is there is replaced only if it is empty or holds one of the same kind
        and nothing else.
    files : mapping of str to bytes
        By path within the folder, with a manifest (see `manifest`) among them.
    contents : Contents

    Returns
    -------
    Path
        The folder, absolute.

    Raises
    ------
    InputError
        If the folder can't be replaced or written: what stands in the way, and what to do.

    Examples
    --------
    >>> import tempfile
    >>> numbers = Contents("our numbers", "numbers", "the numbers")
    >>> with tempfile.TemporaryDirectory() as here:
    ...     files = {"one.txt": b"1"}
    ...     made = write_whole(Path(here) / "numbers", files | {MANIFEST: manifest(numbers, {}, files)}, numbers)
    ...     sorted(path.name for path in made.iterdir())
    ['manifest.json', 'one.txt']
    """
    target = Path(folder).expanduser().resolve()
    check_target(target, contents)
    with _told(target, contents):
        target.parent.mkdir(parents=True, exist_ok=True)
        with _beside(target, "new") as new:
            _fill(new, files)
            _take_the_place(target, new)
        _clear(target)
    return target


@dataclass(slots=True, eq=False)
class Staged:
    """A folder that is made whole beside its target, to take its place later; made by `stage_whole`.

    Attributes
    ----------
    target, path : Path
        Where it is to be, and where it is: under a hidden name with its key, so that a later run finds it.
    contents : Contents
    """

    target: Path
    path: Path
    contents: Contents
    _held: int | None

    def put(self) -> Path:
        """Let it take the place of its target, in one step.

        Raises
        ------
        InputError
            If that can't be done; the staged folder stays for a later run then.
        """
        check_target(self.target, self.contents)
        with _told(self.target, self.contents):
            _take_the_place(self.target, self.path)
        self.drop()  # where two folders changed names, the old one
        return self.target

    def drop(self) -> None:
        """Remove it, if it is still there."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.release()

    def release(self) -> None:
        """Let a later run have it."""
        if self._held is not None:
            os.close(self._held)
            self._held = None


def stage_whole(folder: str | Path, files: Mapping[str, bytes], contents: Contents, *, key: str) -> Staged:
    """Make a folder whole, and on the disk, beside the place that it is to take.

    What could keep it from being written fails here, before the caller does what cannot be undone; afterwards there is
    only a change of names to do, which `staged_before` lets a later run do too.

    Parameters
    ----------
    folder, files, contents
        As for `write_whole`.
    key : str
        What the folder is known by: letters and digits.

    Raises
    ------
    InputError
        As `write_whole` does.
    DataNotReadyError
        If another process has just made the same.
    """
    target = Path(folder).expanduser().resolve()
    check_target(target, contents)
    mark = hashlib.sha256(files[MANIFEST]).hexdigest()[:_MARK]
    path = target.with_name(f".{target.name}.staged-{key}-{mark}")
    with _told(target, contents):
        target.parent.mkdir(parents=True, exist_ok=True)
        _clear(target)
        if path.exists():
            Staged(target, path, contents, _hold_or_wait(path)).drop()
        with _beside(target, "new") as new:
            _fill(new, files, flush=True)
            new.rename(path)
        return Staged(target, path, contents, _hold_or_wait(path))


def staged_before(folder: str | Path, contents: Contents) -> dict[str, Staged]:
    """What earlier runs staged for a folder and did not put there, by key; whole ones alone.

    What two folders left that had just changed names, when the run was killed, is removed.

    Raises
    ------
    DataNotReadyError
        If another process is at work on one of them.
    """
    target = Path(folder).expanduser().resolve()
    ours = re.compile(rf"\.{re.escape(target.name)}\.staged-([0-9A-Za-z]+)-([0-9a-f]{{{_MARK}}})")
    found: dict[str, Staged] = {}
    if not target.parent.is_dir():
        return found
    for path in sorted(target.parent.iterdir()):
        named = ours.fullmatch(path.name)
        if named is None or path.is_symlink() or not path.is_dir():
            continue
        with _told(target, contents):
            staged = Staged(target, path, contents, _hold_or_wait(path))
            listed = path / MANIFEST
            mark = hashlib.sha256(listed.read_bytes()).hexdigest()[:_MARK] if listed.is_file() else ""
        if mark == named[2]:
            found[named[1]] = staged
        else:
            staged.drop()
    return found


def facts_of(folder: Path, contents: Contents) -> dict[str, Any] | None:
    """What the manifest of a folder says; None where there is none of this kind."""
    return _facts(folder / MANIFEST, contents.kind)


def is_whole(folder: Path, contents: Contents) -> bool:
    """Whether a folder has every file that its manifest lists."""
    facts = facts_of(folder, contents)
    return facts is not None and all((folder / name).is_file() for name in facts["files"])


def manifest(contents: Contents, facts: Mapping[str, Any], files: Mapping[str, bytes]) -> bytes:
    """Return the manifest of files: what they are, what is known of them, and the size and hash of each."""
    whole: dict[str, Any] = {
        "kind": contents.kind,
        "version": 1,
        **plain(facts),
        "files": {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in files.items()
        },
    }
    return (json.dumps(whole, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode("utf-8", errors="replace")


def check_target(target: Path, contents: Contents) -> None:
    """Refuse to replace anything but an empty folder, or one of ours of the same kind with nothing else in it.

    Raises
    ------
    InputError
        That names what stands in the way.
    """
    if not target.exists():
        return
    if not target.is_dir():
        raise InputError(f"{str(target)!r} is a file, not a folder. Name another folder for {contents.the}.")
    there = {
        path.relative_to(target).as_posix()
        for path in target.rglob("*")
        if (not path.is_dir() or path.is_symlink()) and path.name not in _STRAY
    }
    if not there:
        return
    listed = _listed(target / MANIFEST, contents.kind)
    if listed is None:
        raise InputError(
            f"The folder {str(target)!r} holds files but no manifest of {contents.one}, so it is not replaced. Name "
            "another folder, or empty this one."
        )
    foreign = sorted(there - listed - {MANIFEST})
    if foreign:
        some = ", ".join(foreign[:3]) + (f" and {len(foreign) - 3} more" if len(foreign) > 3 else "")
        raise InputError(
            f"The folder {str(target)!r} holds files that are not of {contents.the}: {some}. Move them elsewhere; "
            f"replacing {contents.the} would delete them."
        )


@contextmanager
def _told(target: Path, contents: Contents) -> Iterator[None]:
    """Say of a fault of the disk what could not be written, and what to do."""
    try:
        yield
    except OSError as fault:
        raise InputError(
            f"{contents.the.capitalize()} can't be written to {str(target)!r}: {fault.strerror or fault}. Check that "
            "the disk has room and that you may write there, or name another folder."
        ) from fault


def _fill(folder: Path, files: Mapping[str, bytes], *, flush: bool = False) -> None:
    """Write files into a folder; where asked, onto the disk itself."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as file:
            file.write(content)
            if flush:
                file.flush()
                os.fsync(file.fileno())


def _listed(manifest: Path, kind: str) -> set[str] | None:
    """The files that a manifest of ours lists; None where there is no such manifest."""
    facts = _facts(manifest, kind)
    return None if facts is None else set(facts["files"])


def _facts(manifest: Path, kind: str) -> dict[str, Any] | None:
    try:
        facts = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    ours = isinstance(facts, dict) and facts.get("kind") == kind and isinstance(facts.get("files"), dict)
    return facts if ours else None


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
        return  # the old folder has the temporary name now, and goes with it
    with _beside(target, "old") as old:
        aside = old / "whole"
        target.rename(aside)
        try:
            new.rename(target)
        except BaseException:
            aside.rename(target)
            raise


def _swap(one: Path, other: Path) -> bool:
    """Let two folders change names in one step of the file system; False where it has no such step.

    Two renames, one after the other, leave a moment without any folder: a run killed right then would have lost it.
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


def _hold_or_wait(path: Path) -> int | None:
    try:
        return _hold(path)
    except BlockingIOError:
        raise DataNotReadyError(
            f"Another process is writing {str(path)!r} at this moment. Try again when it has finished."
        ) from None


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
