"""Training steps that leave out denormal weights, with the same bits.

Weight decay shrinks those weights without end that no gradient reaches. Products with denormal numbers take
an Intel core ten times as long and more (docs/PERFORMANCE.md). Training still needs these weights: where they
are all that a sum has, their signs decide which ReLUs wake up. Such sums are found, and computed with them.
"""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["DENORMAL", "product"]

#: Numbers below it are denormal.
DENORMAL = torch.finfo(torch.float32).tiny
# A sum that is not below it has the same bits without products with denormal numbers: these are below 1e-38
# times what goes in, and a float32 has 24 bits. Only ties behind a first term of this kind are rounded
# otherwise; they need inputs of few bits, as a table's columns may be.
_DOUBTFUL = np.float32(1e-20).view(np.int32)
# All bits of a float but its sign: as integers they have the order of the sizes, and are as fast to compare
# where they are denormal.
_SIZE = np.int32(0x7FFFFFFF)
# Products of one row or of two, and those of fewer multiplications, are computed otherwise, to other bits.
_ROWS, _COLUMNS, _MULTIPLICATIONS = 16, 8, 400


def product(x: Tensor, weight: Tensor, bias: Tensor, kept: Tensor) -> Tensor:
    """bias + x weight [S, N, out], and its derivatives, with the bits of `torch.baddbmm(bias, x, weight)`.

    Args:
        x: what goes in [S, N, in], numbers of all bits. What is 0 in all rows is taken to be behind a ReLU or
            a mask, where its derivative does not count.
        weight: [S, in, out].
        bias: [S, 1, out].
        kept: `weight` with 0 for denormal numbers.
    """
    rows = x.shape[1]
    if rows < _ROWS or rows * _COLUMNS * min(weight.shape[1:]) < _MULTIPLICATIONS:
        return torch.baddbmm(bias, x, weight)
    return _Product.apply(x, weight, bias, kept)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, kept: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight, kept)
        out = torch.baddbmm(bias, x, kept)
        if len(j := _doubtful_columns(out)):
            # Transposed: vectors of rows, which meet a denormal weight once for all of them.
            out[..., j] = torch.baddbmm(bias[..., j].mT, weight[..., j].mT, x.mT).mT
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, kept = ctx.saved_tensors
        by_x = grad.bmm(kept.mT)
        if len(i := _doubtful_columns(by_x, x)):
            by_x[..., i] = grad.bmm(weight[:, i].mT)
        return by_x, x.mT.bmm(grad), grad.sum(1, keepdim=True), None


def _doubtful_columns(out: Tensor, x: Tensor | None = None) -> Tensor:
    """Those of `out` [S, N, K] with anything doubtful, where `x` is not 0 if it is given, and some more.

    They are a multiple of `_COLUMNS`, or all.
    """
    found = np.zeros(out.shape[-1], np.bool_)
    _find_doubtful(_rows_of_bits(out), None if x is None else _rows_of_bits(x), found)
    count = -(-np.count_nonzero(found) // _COLUMNS) * _COLUMNS
    return torch.from_numpy(np.argsort(~found, kind="stable")[:count])


def _rows_of_bits(x: Tensor) -> np.ndarray:
    return x.detach().contiguous().numpy().view(np.int32).reshape(-1, x.shape[-1])


@njit(cache=True, nogil=True)
def _find_doubtful(out_bits, x_bits, found):  # type: ignore[no-untyped-def]
    for row in range(len(out_bits)):
        for i in range(len(found)):
            small = out_bits[row, i] & _SIZE < _DOUBTFUL
            found[i] |= small if x_bits is None else small & (x_bits[row, i] & _SIZE != 0)
