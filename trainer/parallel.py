"""One training over several processes: who they are, how the model is spread over them, what they add up.

``torchrun --nproc-per-node 2 -m trainer CONFIG`` starts them; without it there is one process, and nothing here costs
anything. Each process takes its part of every step's sequences, so the batch of a step, and with it the run, does not
depend on their number (but for the last bits: sums are added in another order), and a checkpoint of one number of
processes goes on with another. The first process alone writes.

``ddp`` keeps the whole model in each process and adds gradients up while the backward pass runs. ``fsdp`` (FSDP2)
cuts every parameter, gradient and optimiser state into as many parts as there are processes, and puts a block's
parameters together while that block computes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from pipeline.errors import ConfigError
from trainer.model import Model

Parallel = Literal["ddp", "fsdp"]


@dataclass(frozen=True)
class Processes:
    """The processes of this training, and which of them this one is."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    def rows(self) -> slice:
        """Of a step's sequences, those of this process."""
        return slice(self.rank, None, self.count)

    def total(self, value: float, device: torch.device) -> float:
        """Sum of ``value`` over all processes."""
        if self.count == 1:
            return value
        return float(self.totals(np.array(value), device))

    def totals(self, values: np.ndarray, device: torch.device) -> np.ndarray:
        """Sums of each of ``values`` over all processes; float64, of their shape."""
        if self.count == 1:
            return values
        summed = torch.tensor(values, dtype=torch.float64, device=device)
        dist.all_reduce(summed)
        return summed.cpu().numpy()

    def wait(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            dist.barrier()


ALONE = Processes()


@contextmanager
def started_processes() -> Iterator[Processes]:
    """The processes that ``torchrun`` started, talking to each other while the block runs; one without it."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1 or dist.is_initialized():
        yield current_processes()
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield current_processes()
    finally:
        dist.destroy_process_group()


def current_processes() -> Processes:
    """The processes that are talking to each other now."""
    return Processes(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else ALONE


class TrainingLosses(nn.Module):
    """A model as what is trained: losses of targets instead of logits."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, *batch: Any) -> tuple[Tensor, Tensor]:
        """Losses as the model's ``negative_log_likelihood`` gives them, and the auxiliary loss."""
        return self.model.negative_log_likelihood(*batch), self.model.auxiliary_loss()


def spread(model: Model, parallel: Parallel, processes: Processes, *, compiled: bool) -> nn.Module:
    """``model`` as a module whose backward pass gives every process the gradients of all.

    With ``compiled`` forward and backward pass are compiled; a process's first step then takes a minute longer.
    Gradients are the mean over processes: a process's loss has to be multiplied by their number.

    Raises:
        ConfigError: if the model has experts, whose unused ones have no gradient to add up.
    """
    if processes.count > 1 and model.config.num_experts is not None:
        raise ConfigError(
            f"num_experts={model.config.num_experts} in {processes.count} processes; expected one process, or a "
            f"model without experts; run `python -m trainer` without torchrun"
        )
    if processes.count > 1 and parallel == "fsdp":
        for block in model.blocks:
            fully_shard(block)
        fully_shard(model)
    losses = TrainingLosses(model)
    if compiled:
        losses.compile()
    return DistributedDataParallel(losses) if processes.count > 1 and parallel == "ddp" else losses


def without_exchange(module: nn.Module, is_last: bool) -> AbstractContextManager[Any]:
    """Gradients of all but the last piece of a step stay in the process."""
    if isinstance(module, DistributedDataParallel):
        return nullcontext() if is_last else module.no_sync()
    if isinstance(module, TrainingLosses) and isinstance(module.model, FSDPModule):
        module.model.set_requires_gradient_sync(is_last)
    return nullcontext()


def whole(tensor: Tensor) -> Tensor:
    """A parameter or state in one piece, on every process."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def like(value: Tensor, parameter: Tensor) -> Tensor:
    """``value``, of the whole parameter's shape, cut as ``parameter`` is."""
    if isinstance(parameter, DTensor) and value.shape == parameter.shape:
        return distribute_tensor(value.to(parameter.device), parameter.device_mesh, parameter.placements)
    return value
