"""A batch as the tensors that a model's ``negative_log_likelihood`` takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer.batch import Batch

ModelInputs = tuple[Any, ...]
"""Tensors of inputs and targets, and tensors or None of what else that kind of model takes."""


def model_inputs(batch: Batch, device: torch.device, *, document_end: int | None = None) -> ModelInputs:
    """The arguments of ``negative_log_likelihood``, on ``device``, in its order.

    Args:
        batch: of a decoder, or with the source of an encoder.
        document_end: id after which a decoder's positions no longer see those before; None: they see all. What an
            encoder-decoder's positions see, its batch says.
    """

    def tensor(array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(device)

    inputs, targets, source = tensor(batch.inputs), tensor(batch.targets), batch.source
    if source is not None:
        return inputs, targets, tensor(source.tokens), tensor(source.target_documents), tensor(source.documents)
    documents = None if document_end is None else documents_of(inputs, document_end)
    return inputs, targets, documents, None if batch.prefix_lengths is None else tensor(batch.prefix_lengths)


def documents_of(inputs: Tensor, eos_token_id: int) -> Tensor:
    """Number of the document of each input within its sequence: an end-of-text token begins the next one.

    It is the input from which the first token of a document is predicted, so it belongs to that document.
    """
    return (inputs == eos_token_id).cumsum(dim=1)
