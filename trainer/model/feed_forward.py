"""The feed-forward layer, and several of them behind a router.

Gated: output(act(gate(x)) * up(x)); plain: output(act(up(x))). With experts, the router's softmax weighs the k most
likely ones, renormalised over these; every token reaches its experts, none is dropped. The balancing loss
E sum_e f_e p_e (f_e the share of choices that fell on expert e, p_e the mean probability of it) is 1 when experts are
equally busy.

Sources: gated units, Shazeer 2020; experts, Shazeer et al. 2017, balancing loss of Fedus et al. 2022 (Switch,
equations 4 to 6) with k choices as in Mixtral (Jiang et al. 2024).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.model_config import ModelConfig

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "swiglu": F.silu,
    "geglu": F.gelu,
    "reglu": F.relu,
}


class FeedForward(nn.Module):
    """One layer; ``gate_up`` holds the gate's rows, then the inner layer's."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.is_gated = config.is_gated
        self.activation = _ACTIVATIONS[config.activation]
        if self.is_gated:
            self.gate_up = nn.Linear(config.hidden_size, 2 * config.ffn_size, bias=False)
        else:
            self.up = nn.Linear(config.hidden_size, config.ffn_size, bias=False)
        self.output = nn.Linear(config.ffn_size, config.hidden_size, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """(…, width) to (…, width)."""
        if not self.is_gated:
            return self.output(self.activation(self.up(hidden)))
        gate, up = self.gate_up(hidden).chunk(2, dim=-1)
        return self.output(self.activation(gate) * up)


class Experts(nn.Module):
    """Several feed-forward layers, each token through the ``experts_per_token`` that its router prefers.

    Attributes:
        balancing_loss: of the last forward pass, a scalar; 1 when experts are equally busy.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        assert config.num_experts is not None
        self.num_chosen = config.experts_per_token
        self.router = nn.Linear(config.hidden_size, config.num_experts, bias=False)
        self.experts = nn.ModuleList(FeedForward(config) for _ in range(config.num_experts))
        self.balancing_loss = torch.zeros(())

    def forward(self, hidden: Tensor) -> Tensor:
        """(…, width) to (…, width)."""
        tokens = hidden.reshape(-1, hidden.shape[-1])
        probabilities = self.router(tokens).float().softmax(dim=-1)
        weights, chosen = probabilities.topk(self.num_chosen, dim=-1)
        weights = (weights / weights.sum(dim=-1, keepdim=True)).to(hidden.dtype)
        mixed = torch.zeros_like(tokens)
        for number, expert in enumerate(self.experts):
            rows, places = (chosen == number).nonzero(as_tuple=True)
            mixed = mixed.index_add(0, rows, expert(tokens[rows]).to(mixed.dtype) * weights[rows, places, None])
        num_experts = len(self.experts)
        shares = F.one_hot(chosen, num_experts).float().mean(dim=(0, 1))
        self.balancing_loss = num_experts * (shares * probabilities.mean(dim=0)).sum()
        return mixed.view_as(hidden)


def make_feed_forward(config: ModelConfig) -> nn.Module:
    """The feed-forward layer of a block: one, or experts behind a router."""
    return FeedForward(config) if config.num_experts is None else Experts(config)


def balancing_loss(blocks: Iterable[nn.Module], weight: float) -> Tensor:
    """``weight`` times the mean balancing loss of the blocks with experts, a scalar; 0 where there are none."""
    found = [block.feed_forward.balancing_loss for block in blocks if isinstance(block.feed_forward, Experts)]
    return weight * torch.stack(found).mean() if found else torch.zeros(())
