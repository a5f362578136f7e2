"""Checkpoints: one ``.npz`` a step, whole or absent, the same bytes for the same state.

``checkpoint/step-00000100.npz`` holds float arrays by name (``model.…``, ``optimizer.…``) and one JSON record. NumPy's
format is used rather than ``torch.save`` because loading it runs no code, it opens without torch, and its bytes
depend on the state alone: a pickle also records which of its strings happened to be the same object.

A file appears under its name only when complete; the older one is deleted after that. So a process killed at any
moment leaves one checkpoint that can be resumed from.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pipeline import storage
from pipeline.errors import ConfigError, RetryableError, ShardError
from pipeline.hashing import fingerprint
from pipeline.token_shard import ShardManifest
from trainer.config import TrainConfig
from trainer.parallel import like, whole

_NAME = re.compile(r"step-(\d{8})\.npz")
_RECORD = "record"


@dataclass(frozen=True)
class Checkpoint:
    """State after ``step`` optimiser steps."""

    step: int
    arrays: dict[str, np.ndarray]
    record: dict[str, Any]  # JSON-ready


def save_checkpoint(folder: str, checkpoint: Checkpoint) -> str:
    """Write ``checkpoint``, then delete the older ones of ``folder``; returns its file name.

    Raises:
        RetryableError: if it cannot be written (a full disk); the older checkpoint is kept then.
    """
    record = json.dumps({"step": checkpoint.step, **checkpoint.record}, sort_keys=True).encode()
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **checkpoint.arrays, **{_RECORD: np.frombuffer(record, np.uint8)})
    name = f"step-{checkpoint.step:08d}.npz"
    older = [other for other in _names(folder) if other != name]
    try:
        storage.write_bytes(storage.join(folder, name), buffer.getvalue())
    except OSError as error:
        kept = f"{older[-1]} is kept" if older else "there is no older one"
        raise RetryableError(
            f"cannot write checkpoint {storage.join(folder, name)} ({buffer.tell()} bytes): {error}; {kept}; free the "
            f"space or choose another output, and run again: training goes on from the last checkpoint"
        ) from error
    filesystem, path = storage.resolve(folder)
    for other in older:
        filesystem.delete_file(f"{path}/{other}")
    return name


def latest_checkpoint(folder: str) -> Checkpoint | None:
    """The newest checkpoint of ``folder``; None if there is none.

    Raises:
        ShardError: if it is damaged.
    """
    names = _names(folder)
    if not names:
        return None
    location = storage.join(folder, names[-1])
    try:
        with np.load(io.BytesIO(storage.read_bytes(location)), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        record = json.loads(arrays.pop(_RECORD).tobytes())
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError) as error:
        raise ShardError(f"checkpoint {location} is damaged ({error}); delete it and train again") from None
    return Checkpoint(step=int(record.pop("step")), arrays=arrays, record=record)


def checkpoint_folder(output: str) -> str:
    return storage.join(output, "checkpoint")


def run_identity(config: TrainConfig, manifest: ShardManifest) -> str:
    """Fingerprint of what decides a run's weights; two runs with the same one have the same loss curve."""
    decisive = config.model_dump(mode="json", exclude={"checkpoint_every_steps", "evaluation"})
    return fingerprint({"config": decisive, "shards": manifest.model_dump(mode="json")})


def load_own_checkpoint(output: str, identity: str) -> Checkpoint | None:
    """The last checkpoint of the run ``identity`` in ``output``; None if there is none.

    Raises:
        ConfigError: if ``output`` holds another run's.
    """
    checkpoint = latest_checkpoint(checkpoint_folder(output))
    if checkpoint is not None and checkpoint.record["identity"] != identity:
        raise ConfigError(
            f"{output}/checkpoint is of another run (config or shards {checkpoint.record['identity']}, now "
            f"{identity}); delete {output} to train anew, or choose another output"
        )
    return checkpoint


@torch.no_grad()
def load_weights(model: torch.nn.Module, checkpoint: Checkpoint) -> None:
    """Copy the weights of ``checkpoint`` into ``model``."""
    for name, parameter in model.named_parameters():
        parameter.copy_(like(torch.from_numpy(checkpoint.arrays[f"model.{name}"]), parameter))


def load_optimizers(optimizers: list[torch.optim.Optimizer], checkpoint: Checkpoint) -> None:
    """Give each optimiser the state that ``checkpoint`` has of it."""
    states: list[dict[int, dict[str, torch.Tensor]]] = [{} for _ in optimizers]
    for name, array in checkpoint.arrays.items():
        if name.startswith("optimizer."):
            _, number, index, key = name.split(".")
            states[int(number)].setdefault(int(index), {})[key] = torch.from_numpy(array.copy())
    for optimizer, state in zip(optimizers, states, strict=True):
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        cut = {
            index: {key: like(value, parameters[index]) for key, value in found.items()}
            for index, found in state.items()
        }
        optimizer.load_state_dict({**optimizer.state_dict(), "state": cut})


def arrays_of(model: torch.nn.Module, optimizers: list[torch.optim.Optimizer]) -> dict[str, np.ndarray]:
    """Weights and optimiser states as a checkpoint names them; of several processes, all have to ask."""
    arrays = {f"model.{name}": _to_numpy(tensor) for name, tensor in model.named_parameters()}
    for number, optimizer in enumerate(optimizers):
        for index, state in optimizer.state_dict()["state"].items():
            arrays.update({f"optimizer.{number}.{index}.{key}": _to_numpy(tensor) for key, tensor in state.items()})
    return arrays


def _to_numpy(tensor: torch.Tensor) -> np.ndarray:
    return whole(tensor).detach().cpu().numpy()


def _names(folder: str) -> list[str]:
    return [name for name in storage.list_files(folder) if _NAME.fullmatch(name)]
