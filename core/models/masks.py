"""Dropout masks from given generators: NumPy's SFC64 in training, and on the CPU; else torch's generator."""

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from .backprop import scale_kept

#: Draws masks for tensors on its device. On the CPU SFC64 is much faster than torch's generator.
MaskSource: TypeAlias = np.random.SFC64 | torch.Generator

# Words of 64 bits that are drawn at once: they stay in the cache. An element takes 16 bits.
_WORDS = 16_384


def mask_source(generator: torch.Generator) -> MaskSource:
    """A source of masks that takes its seed from the generator, for tensors on the generator's device."""
    return sfc64(generator) if generator.device.type == "cpu" else generator


def sfc64(generator: torch.Generator) -> np.random.SFC64:
    """A source of masks that takes its seed from a generator on the CPU."""
    return np.random.SFC64(int(torch.randint(2**63 - 1, (), generator=generator)))


def dropout(x: Tensor, rate: float, sources: Sequence[MaskSource], shared: bool = False) -> Tensor:
    """Drops elements of a stack x [S, ...] with probability `rate`, and scales up the others.

    Works in place, but for a shared mask.

    Args:
        rate: met to 2^-17.
        sources: the mask of x[s] is drawn from source s.
        shared: one mask for all rows of an x[s] [N, h], instead of one for each.
    """
    if not rate > 0:
        return x
    if shared:
        return x * _drop(torch.ones_like(x[:, :1]), rate, sources)
    return _drop(x, rate, sources)


def dropout_by(bits: Tensor, rate: float) -> Callable[[Tensor], Tensor]:
    """Dropout with random bits that were drawn before [S, ...]: each call takes as many as it needs."""
    taken = 0

    def drop(x: Tensor) -> Tensor:
        nonlocal taken
        first, taken = taken, taken + x[0].numel()
        kept = (bits[:, first:taken].int() & 0xFFFF) >= level(rate)
        return x * kept.to(x.dtype).mul_(1 / (1 - rate)).view(x.shape)

    return drop


def draw_kept(shape: tuple[int, ...], rate: float, source: MaskSource) -> Tensor:
    """What dropout keeps: bytes of that shape, 1 or 0, on the source's device."""
    count = math.prod(shape)
    if isinstance(source, torch.Generator):
        kept = _kept(count, rate, [source])
    else:
        kept = torch.from_numpy(_bits(source, count)[:count] >= level(rate))
    return kept.to(torch.uint8).view(shape)


def _drop(x: Tensor, rate: float, sources: Sequence[MaskSource]) -> Tensor:
    """Multiplies x [S, ...] by 0 or 1 / (1 - rate), in place."""
    factor = 1 / (1 - rate)
    if generators := [source for source in sources if isinstance(source, torch.Generator)]:
        return x.mul_(_kept(x[0].numel(), rate, generators).to(x.dtype).mul_(factor).view(x.shape))
    for row, source in zip(x.view(len(x), -1).numpy(), sources, strict=True):
        for first in range(0, len(row), 4 * _WORDS):
            part = row[first : first + 4 * _WORDS]
            bits = _bits(source, len(part))  # type: ignore[arg-type]
            scale_kept(part, bits, np.uint16(level(rate)), row.dtype.type(factor))
    return x


def _kept(count: int, rate: float, generators: Sequence[torch.Generator]) -> Tensor:
    """Whether elements are kept [S, count], by the generators of S models: one comparison for all of them."""
    device = generators[0].device
    bits = torch.empty((len(generators), math.ceil(count / 4)), dtype=torch.int64, device=device)
    for row, generator in zip(bits, generators, strict=True):
        row.random_(-(2**63), None, generator=generator)  # bernoulli_ takes five times as long
    return bits.view(torch.int16)[:, :count] >= level(rate) - 2**15


def draw_bits(sources: Sequence[np.random.SFC64], count: int) -> np.ndarray:
    """Random words of 16 bits for each source, [S, count or up to three more]; `scale_kept` takes them."""
    return np.stack([_bits(source, count) for source in sources])


def level(rate: float) -> int:
    """An element is kept where its 16 bits reach this."""
    return min(round(rate * 2**16), 2**16 - 1)


def _bits(source: np.random.SFC64, count: int) -> np.ndarray:
    """Random words of 16 bits, `count` or up to three more."""
    return source.random_raw(math.ceil(count / 4)).view(np.uint16)


def get_state(source: np.random.SFC64) -> list[int]:
    """Where a source is in its stream; `set_state` takes it."""
    return [int(word) for word in source.state["state"]["state"]]


def set_state(source: np.random.SFC64, state: Sequence[int]) -> None:
    """Restores what `get_state` returned."""
    source.state = source.state | {"state": {"state": np.array(state, np.uint64)}}
