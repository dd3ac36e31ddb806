"""Environments whose models are trained as one stack."""

from collections.abc import Sequence
from typing import TypeVar

from ..training.lockstep import Fitting, side_by_side

__all__ = ["together"]

T = TypeVar("T")


def together(fittings: Sequence[Fitting[T]]) -> list[T]:
    """What generators return that ask for fits, in their order, all driven side by side.

    Raises:
        FloatingPointError: training diverged in one of them.
    """
    results: dict[int, T] = {}
    for i, result in side_by_side(fittings):
        if isinstance(result, Exception):
            raise result
        results[i] = result
    return [results[i] for i in range(len(fittings))]
