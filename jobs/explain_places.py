"""Where a kept document stands in the shards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow.compute as pc

from jobs.explanation import ShardPlace
from jobs.run_folder import RunFolder
from pipeline.shard_manifest import load_manifest


def shard_places(run: RunFolder, doc_id: str, decision: dict[str, Any] | None) -> list[ShardPlace]:
    """Every copy of a kept document in the shards, through the tables beside them."""
    if decision is None or decision["verdict"] != "kept" or not run.is_finished("shards"):
        return []
    places: list[ShardPlace] = []
    for shard in load_manifest(run.path("shards")).of_split(decision["split"]):
        path = f"shards/{shard.name}.docs.parquet"
        ids = run.column_of(path, "doc_id")
        sequences = np.flatnonzero(pc.equal(ids, doc_id).to_numpy())
        if not len(sequences):
            continue
        lengths = run.column_of(path, "num_tokens").to_numpy().astype(np.int64)
        epochs = run.column_of(path, "epoch")
        for sequence in sequences.tolist():
            places.append(
                ShardPlace(
                    shard=shard.name,
                    split=shard.split,
                    epoch=epochs[sequence].as_py(),
                    sequence_index=sequence,
                    token_offset=int(lengths[:sequence].sum()),
                    num_tokens=int(lengths[sequence]),
                )
            )
        if len(places) == decision["copies"]:
            break
    return sorted(places, key=lambda place: (place.epoch, place.shard))
