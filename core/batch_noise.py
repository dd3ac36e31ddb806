"""Stochastic batches: any agent's scores with noise, so that a batch is not its best points alone.

Kirsch et al., *Stochastic Batch Acquisition: A Simple Baseline for Deep Active Learning*, 2023, arXiv
2106.12059, with its coldness beta = 1. A batch is the top of the perturbed scores; G are independent draws
from Gumbel(0, 1).
"""

import torch
from torch import Tensor

__all__ = ["SUFFIXES", "perturbed"]

#: What an agent's name may end with, after a `+`: how its scores s are perturbed.
SUFFIXES = {"power": "log s + G", "softmax": "s + G", "softrank": "G - log rank of s"}


def perturbed(scores: Tensor, suffix: str, generator: torch.Generator) -> Tensor:
    """The scores [N] of an agent, perturbed as its suffix says; float64 [N], NaN where they are and matter.

    `power` takes a score that is not positive for the smallest positive float. `softrank` takes NaN for the
    highest score, as the choice of the top does.
    """
    scores = scores.double()
    noise = torch.empty_like(scores).exponential_(generator=generator).log_().neg_()
    if suffix == "softmax":
        return scores + noise
    if suffix == "power":
        return scores.clamp(min=torch.finfo(scores.dtype).tiny).log() + noise
    order = torch.where(scores.isnan(), torch.inf, scores).sort(descending=True, stable=True).indices
    ranks = torch.empty_like(scores)
    ranks[order] = torch.arange(1, len(scores) + 1, dtype=scores.dtype, device=scores.device)
    return noise - ranks.log()
