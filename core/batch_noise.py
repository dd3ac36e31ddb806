"""Stochastic batches: the top of an agent's scores s with noise G ~ Gumbel(0, 1), drawn for each point.

Kirsch et al., *Stochastic Batch Acquisition: A Simple Baseline for Deep Active Learning*, 2023, arXiv
2106.12059, with its coldness beta = 1.
"""

import torch
from torch import Tensor

#: What an agent's name may end with, after a `+`: how its scores are perturbed.
SUFFIXES = {"power": "log s + G", "softmax": "s + G", "softrank": "G - log rank of s"}


def perturbed(scores: Tensor, suffix: str, generator: torch.Generator) -> Tensor:
    """The scores [N] with noise, float64 [N]; NaN stays NaN, except that `softrank` ranks it highest.

    `power` raises scores that are not positive to the smallest positive float.
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
