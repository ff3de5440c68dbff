"""Tables to Parquet, as they come: the same rows give the same bytes, however they were cut into parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

__all__ = ["write_tables"]

#: Rows of a row group, whatever the parts were.
_GROUP = 1_000_000


class _Draft:
    """One Parquet file under way, under a name of its own until it is complete."""

    def __init__(self, path: Path) -> None:
        self.path, self.draft = path, path.with_name(f"{path.name}.part")
        self._writer: Any = None
        self._waiting: list[pa.Table] = []
        self._rows = 0

    def add(self, table: pa.Table) -> None:
        import pyarrow.parquet as pq

        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self.draft, table.schema, compression="zstd", store_decimal_as_integer=True, use_dictionary=_few(table)
            )
        self._waiting.append(table)
        self._rows += table.num_rows
        while self._rows >= _GROUP:
            self._write(_GROUP)

    def _write(self, n: int) -> None:
        table = pa.concat_tables(self._waiting)
        self._writer.write_table(table.slice(0, n).combine_chunks(), row_group_size=_GROUP)
        self._waiting = [table.slice(n)]
        self._rows -= n

    def close(self) -> None:
        if self._rows:
            self._write(self._rows)
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def discard(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self.draft.unlink(missing_ok=True)


def _few(table: pa.Table) -> list[str]:
    """Columns with few values, for which a dictionary is worth its while."""
    return [field.name for field in table.schema if pa.types.is_dictionary(field.type)]


def write_tables(parts: Iterator[Mapping[str, pa.Table]], folder: Path, *, outdated: Sequence[str] = ()) -> None:
    """Write ``<name>.parquet`` for every table of the parts; files are replaced when all are complete.

    Old files go before the first new one comes, so that files of two apps never stand side by side.

    Parameters
    ----------
    parts : iterator of mapping of str to pyarrow.Table
        Rows of equal names follow one another.
    folder : Path
        Must be there.
    outdated : sequence of str
        Further tables whose files are removed.
    """
    drafts: dict[str, _Draft] = {}
    try:
        for part in parts:
            for name, table in part.items():
                if name not in drafts:
                    drafts[name] = _Draft(folder / f"{name}.parquet")
                drafts[name].add(table)
        for draft in drafts.values():
            draft.close()
        for path in (*(draft.path for draft in drafts.values()), *(folder / f"{name}.parquet" for name in outdated)):
            path.unlink(missing_ok=True)
        for draft in drafts.values():
            draft.draft.replace(draft.path)
    finally:
        for draft in drafts.values():
            draft.discard()
