"""Dropout masks from given generators: NumPy's SFC64 in training, and on the CPU; else torch's generator."""

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from .backprop import scale_kept

#: Draws masks for tensors on its device. On the CPU SFC64 is much faster than torch's generator.
MaskSource: TypeAlias = np.random.SFC64 | torch.Generator


def mask_source(generator: torch.Generator) -> Any:
    """A `MaskSource` that takes its seed from the generator, for tensors on the generator's device."""
    if generator.device.type != "cpu":
        return generator
    return np.random.SFC64(int(torch.randint(2**63 - 1, (), generator=generator)))


def dropout(x: Tensor, rate: float, source: MaskSource, shared: bool = False) -> Tensor:
    """Drops elements of x with probability `rate`, met to 2^-17, and scales up the others.

    Works in place, but for a shared mask: one for all rows of x [1, N, h], instead of one for each.
    """
    if not rate > 0:
        return x
    if shared:
        return x * dropout(torch.ones_like(x[:, :1]), rate, source)
    factor = 1 / (1 - rate)
    if isinstance(source, torch.Generator):
        return x.mul_(draw_kept(x.shape, rate, source).to(x.dtype).mul_(factor))
    elements = x.view(-1).numpy()
    bits = draw_bits(source, len(elements))
    scale_kept(elements, bits, np.uint16(level(rate)), elements.dtype.type(factor))
    return x


def dropout_by(bits: Tensor, rate: float) -> Callable[[Tensor], Tensor]:
    """Dropout with random bits that were drawn before [S, ...]: each call takes as many as it needs."""
    taken = 0

    def drop(x: Tensor) -> Tensor:
        nonlocal taken
        first, taken = taken, taken + x[0].numel()
        kept = (bits[:, first:taken].int() & 0xFFFF) >= level(rate)
        return x * kept.to(x.dtype).mul_(1 / (1 - rate)).view(x.shape)

    return drop


def draw_kept(shape: Sequence[int], rate: float, source: MaskSource) -> Tensor:
    """What dropout keeps: bytes of that shape, 1 or 0, on the source's device."""
    count = math.prod(shape)
    if isinstance(source, torch.Generator):
        words = torch.empty(math.ceil(count / 4), dtype=torch.int64, device=source.device)
        words.random_(-(2**63), None, generator=source)  # bernoulli_ takes five times as long
        kept = words.view(torch.int16)[:count] >= level(rate) - 2**15
    else:
        kept = torch.from_numpy(draw_bits(source, count)[:count] >= level(rate))
    return kept.view(torch.uint8).view(shape)


def level(rate: float) -> int:
    """An element is kept where its 16 bits reach this."""
    return min(round(rate * 2**16), 2**16 - 1)


def draw_bits(source: np.random.SFC64, count: int) -> np.ndarray:
    """Random words of 16 bits, `count` or up to three more; `scale_kept` takes them."""
    return source.random_raw(math.ceil(count / 4)).view(np.uint16)
