"""What a result was made from: versions and hashes, and nothing that differs between two equal runs."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from churnsurv.study.config import Source, StudyConfig
from churnsurv.study.config_sections import SCORE_TABLES

__all__ = ["PACKAGES", "hash_text", "provenance"]

PACKAGES = (
    *("churnsurv", "duckdb", "formulaic", "jinja2", "lifelines", "matplotlib", "numpy", "pandas", "pyarrow"),
    *("scipy", "statsmodels"),
)


def provenance(config: StudyConfig, base: Path, study_text: str, overrides: Mapping[str, object]) -> dict[str, Any]:
    """Return where a result comes from.

    Parameters
    ----------
    config : StudyConfig
    base : Path
        Folder of the study file, which relative paths start from.
    study_text : str
        The study file as it stands.
    overrides : mapping
        Values set beside the file.

    Returns
    -------
    dict
        `packages` (name to version), `study` (sha256 of the file, overrides), `inputs` (table to its path or SQL as
        written, number of files, bytes and sha256), `seed` of simulated data. No time and no absolute path, so that
        equal runs are equal.
    """
    facts: dict[str, Any] = {
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "study": {"sha256": hash_text(study_text), "overrides": {k: str(v) for k, v in sorted(overrides.items())}},
        "inputs": {
            table: _input(source, base) for table, source in config.sources.items() if table not in SCORE_TABLES
        },
    }
    if config.about is not None:
        facts["study"]["about"] = config.about
    if config.seed is not None:
        facts["seed"] = config.seed
    return facts


def hash_text(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8, as hexadecimal digits.

    Examples
    --------
    >>> hash_text("")[:8]
    'e3b0c442'
    """
    return hashlib.sha256(text.encode()).hexdigest()


def _input(source: Source, base: Path) -> dict[str, Any]:
    if source.sql is not None:
        return {"sql": source.sql, "sha256": hash_text(source.sql)}
    path = str(source.path)
    if "://" in path:
        return {"path": path}
    files = sorted(glob.glob(str(base / path), recursive=True))  # noqa: PTH207 - absolute patterns too
    digests = [_hash_file(Path(file)) for file in files]
    whole = digests[0] if len(digests) == 1 else hash_text("\n".join(digests))
    return {
        "path": source.shown,
        "files": len(files),
        "bytes": sum(Path(file).stat().st_size for file in files),
        "sha256": whole,
    }


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
