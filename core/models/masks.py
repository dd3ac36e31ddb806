"""Dropout with masks from given generators."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .mersenne import apply_mask, draw_mask, masked

__all__ = ["Mask", "draw_kept", "dropout"]


def dropout(x: Tensor, rate: float, generators: Sequence[torch.Generator], shared: bool = False) -> Tensor:
    """Drops elements of a stack x [S, ...] with probability `rate`, and scales up the others.

    The mask of x[s] is drawn from generator s, on its device; probabilities are met to 2^-32.
    Two elements share a draw of 64 bits: `bernoulli_` takes five times as long.

    Args:
        shared: one mask for all rows of an x[s] [N, h], instead of one for each.
    """
    at_once = not (shared or x.requires_grad) and x.device.type == "cpu"
    like = x.detach() if at_once else torch.ones_like(x[:, :1] if shared else x, requires_grad=False)
    factors = _masked(like, rate, generators)
    return factors if at_once else x * factors


def _level(rate: float) -> int:
    """An element is kept where 32 bits, as an integer with a sign, reach this."""
    return round(rate * 2**32) - 2**31


def _masked(x: Tensor, rate: float, generators: Sequence[torch.Generator]) -> Tensor:
    """x [S, ...] times 0, or 1 / (1 - rate)."""
    below, factor = _level(rate), 1 / (1 - rate)
    if x.device.type == "cpu":
        result = torch.empty(x.shape, dtype=x.dtype)
        arrays = x.reshape(len(x), -1).numpy(), result.view(len(x), -1).numpy()
        for row, of_result, generator in zip(*arrays, generators, strict=True):
            masked(row, below, factor, generator, of_result)
        return result
    kept = _kept(math.prod(x.shape[1:]), below, generators).to(x.dtype)
    return x * kept.mul_(factor).view(x.shape)


def _kept(n: int, below: int, generators: Sequence[torch.Generator]) -> Tensor:
    """Whether elements are kept [S, n], by the bits of S generators of one device."""
    bits = torch.empty((len(generators), (n + 1) // 2), dtype=torch.int64, device=generators[0].device)
    for row, generator in zip(bits, generators, strict=True):
        row.random_(-(2**63), None, generator=generator)
    return bits.view(torch.int32)[:, :n] >= below


def draw_kept(shape: tuple[int, int], rate: float, generator: torch.Generator) -> Tensor:
    """What `dropout` keeps of x [1, n, h]: bytes [n, h], 1 or 0, on the generator's device.

    Args:
        shape: n and h.
        generator: it is left as `dropout` leaves it.
    """
    if generator.device.type == "cpu":
        return torch.from_numpy(draw_mask(math.prod(shape), _level(rate), generator)).view(shape)
    return _kept(math.prod(shape), _level(rate), [generator]).to(torch.uint8).view(shape)


class Mask:
    """What `dropout` does to x [1, n, h] on the CPU, drawn now to be applied to pieces of the rows later.

    Args:
        shape: n and h.
        generator: of the CPU; it is left as `dropout` leaves it.
    """

    def __init__(self, shape: tuple[int, int], rate: float, generator: torch.Generator) -> None:
        self.factor = 1 / (1 - rate)
        self.kept = draw_kept(shape, rate, generator).numpy()

    def apply(self, x: Tensor, first: int) -> None:
        """Drops elements of x [1, rows, h], contiguous, in place; its first row is row `first` of the n."""
        apply_mask(x.view(-1).numpy(), self.kept[first : first + x.shape[1]].reshape(-1), self.factor)
