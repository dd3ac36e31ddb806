"""A training step on a GPU as a CUDA graph: its 800 or so small operations are launched at once."""

import sys
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from ..files import one_line

#: A step: works in place on tensors that stay where they are. In it nothing is drawn, and no result is read.
Step: TypeAlias = Callable[..., None]


def capture(step: Step, inputs: Sequence[Tensor]) -> Step:
    """The step as a graph of its operations, which are not yet done; it takes inputs of the same shapes."""
    if inputs[0].device.type == "cpu":  # the graph would be empty
        return step
    static = [tensor.clone() for tensor in inputs]
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(*static)

    def replay(*new: Tensor) -> None:
        for place, tensor in zip(static, new, strict=True):
            place.copy_(tensor)
        graph.replay()

    return replay


class GraphedStep:
    """Does a step over and over: for each shape of its first input, from the second time on, as a graph.

    The first time loads what must not be loaded during a capture. Where nothing can be captured, a warning
    says so, and the operations are launched one by one.

    Args:
        step: takes tensors on the device.
    """

    #: Whether this process captures steps.
    captures = torch.cuda.is_available()

    def __init__(self, step: Step, device: torch.device) -> None:
        self.step, self.device = step, device
        self._done: set[torch.Size] = set()
        self._graphs: dict[torch.Size, Step] = {}

    def __call__(self, *inputs: Tensor) -> None:
        """One step; its inputs may be on the CPU."""
        shape = inputs[0].shape
        if shape not in self._graphs:
            inputs = tuple(tensor.to(self.device) for tensor in inputs)
            if shape in self._done and self.captures:
                try:
                    self._graphs[shape] = capture(self.step, inputs)
                except RuntimeError as error:
                    GraphedStep.captures = False
                    print(
                        f"warning: training is slower, without CUDA graphs: {one_line(error)}",
                        file=sys.stderr,
                    )
            self._done.add(shape)
        self._graphs.get(shape, self.step)(*inputs)
