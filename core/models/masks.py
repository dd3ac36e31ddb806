"""Dropout with masks from given generators."""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["dropout"]


def dropout(x: Tensor, rate: float, generators: Sequence[torch.Generator]) -> Tensor:
    """Drops elements of a stack x [S, ...] with probability `rate`, and scales up the others.

    The mask of x[s] is drawn from generator s, on its device; probabilities are met to 2^-32.
    Two elements share a draw of 64 bits: `bernoulli_` takes five times as long, which would be a
    third of the time that an agent spends on its stochastic passes.
    """
    count = x[0].numel()
    bits = torch.empty((len(x), (count + 1) // 2), dtype=torch.int64, device=x.device)
    for row, generator in zip(bits, generators, strict=True):
        row.random_(-(2**63), None, generator=generator)
    factors = torch.empty((len(x), count), dtype=x.dtype, device=x.device)
    torch.ge(bits.view(torch.int32)[:, :count], round(rate * 2**32) - 2**31, out=factors)
    return x * factors.mul_(1 / (1 - rate)).view(x.shape)
