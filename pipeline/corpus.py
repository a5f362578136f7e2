"""Reading ``corpus/``: its files leave ``lang`` to the folder's name, and here it is put back.

A dataset whose files repeat the partition column is refused by pandas and pyarrow, so the files of
``corpus/lang=<lang>/`` hold every column of ``pipeline.schema.CORPUS`` but ``lang``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import unquote

import pyarrow as pa

from pipeline.errors import ShardError
from pipeline.part_writer import read_part
from pipeline.schema import CORPUS
from pipeline.stage import with_columns

CORPUS_FILE = pa.schema([field for field in CORPUS if field.name != "lang"])
"""Columns of a corpus file."""

_PARTITION = "lang="


def language_of(location: str) -> str:
    """The language that the folder of a corpus file names.

    Raises:
        ShardError: if the file does not lie in a ``lang=<lang>`` folder.
    """
    for level in reversed(location.split("/")[:-1]):
        if level.startswith(_PARTITION):
            return unquote(level.removeprefix(_PARTITION))
    raise ShardError(f"{location} lies in no lang=<lang> folder; expected a file of corpus/; check the path")


def unit_of(location: str) -> str:
    """The unit that a part file belongs to: ``x`` of ``…/part-x.parquet``."""
    return location.rsplit("/", 1)[-1].removeprefix("part-").removesuffix(".parquet")


def read_corpus_file(
    location: str, columns: Sequence[str] = tuple(CORPUS.names), rows_per_batch: int = 1024
) -> Iterator[pa.RecordBatch]:
    """Batches of a corpus file with the given columns of ``CORPUS``, ``lang`` among them if asked for."""
    lang = pa.scalar(language_of(location), pa.string())
    stored = [name for name in columns if name != "lang"]
    batches: Iterable[pa.RecordBatch] = read_part(location, stored, rows_per_batch)
    for batch in batches:
        yield with_columns(batch, {"lang": pa.repeat(lang, batch.num_rows)} if "lang" in columns else {})
