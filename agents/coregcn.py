"""CoreGCN: k-center greedy in the features of a graph network that tells labelled points from others.

Caramalau, Bhattarai, Kim, *Sequential Graph Convolutional Network for Active Learning*, 2021,
arXiv 2006.10219. n points (candidates, then labelled), h width of the embedding.
"""

import math
from collections.abc import Iterator

import numpy as np
import torch
from numba import njit
from torch import Tensor
from torch.nn import functional as F

from core.agent import AGENTS, Agent
from core.models.masks import draw_kept, mask_source
from core.state import State

from .shared.selections import k_center_greedy

WIDTH, DROPOUT = 128, 0.3
STEPS, LEARNING_RATE, WEIGHT_DECAY = 200, 1e-3, 5e-4
UNLABELLED_WEIGHT, EPSILON = 1.2, 1e-6

# Points that go through the network at once on the CPU: what is made of them stays in the cache between two
# products.
_PIECE = 1024

_compiled = njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nsz"})


class Adjacency:
    """A = (X X^T - I) D^-1 + I as an operator, D the column sums of X X^T - I plus 1e-6.

    X X^T is never formed: A H = X (X^T (D^-1 H)) - D^-1 H + H costs O(n h^2) and no n x n memory.

    Args:
        x: the points' features, L2-normalised, [n, h].
    """

    def __init__(self, x: Tensor) -> None:
        self.x = x
        self.inverse_degree = 1 / (x @ x.sum(0) - 1 + EPSILON)

    def __matmul__(self, h: Tensor) -> Tensor:
        """A H of h [n] or [n, k]."""
        scaled = self.inverse_degree.view(-1, *[1] * (h.dim() - 1)) * h
        return self.x @ (self.x.T @ scaled) - scaled + h

    def transposed(self, g: Tensor) -> Tensor:
        """A^T g of g [n]."""
        return self.inverse_degree * (self.x @ (self.x.T @ g) - g) + g


@_compiled
def _activate(products, bias, weights, masks, sums):  # type: ignore[no-untyped-def]
    """Bias, ReLU, dropout and the second layer's product of points, in one loop.

    Args:
        products: of the first layer, [n, 128].
        weights: of the second layer, [128].
        masks: bytes [n, 128], 1 where dropout keeps; becomes 0 where a hidden feature is not positive.
        sums: receives the second layer's products [n], not scaled for dropout.
    """
    for n in range(len(products)):
        total = sums.dtype.type(0)
        for j in range(len(bias)):
            hidden = products[n, j] + bias[j]
            masks[n, j] = masks[n, j] & np.uint8(hidden > 0)
            total += hidden * weights[j] if masks[n, j] else sums.dtype.type(0)
        sums[n] = total


@_compiled
def _spread(masks, by_sums, by_hidden, by_bias):  # type: ignore[no-untyped-def]
    """Passes derivatives d [n] with respect to the sums back through masks M [n, 128].

    Args:
        by_hidden: receives M d [n, 128].
        by_bias: [128]; the sum of M d over the points is added.
    """
    total = np.zeros_like(by_bias)
    for n in range(len(masks)):
        for j in range(len(by_bias)):
            by_hidden[n, j] = by_sums[n] if masks[n, j] else by_sums.dtype.type(0)
            total[j] += by_hidden[n, j]
    by_bias += total


class GraphNetwork:
    """Two graph convolutions A (H W) + b, h to 128 with ReLU and dropout, 128 to 1, and their derivatives.

    A (X W) = (A X) W, and A X is the same in every step. What the second convolution passes back to the
    hidden features of a point is a multiple of its weights, so all derivatives follow from the masks
    M [n, 128] (1 where a feature is positive and not dropped) and one product (A X)^T (M d), d [n] the
    derivatives with respect to the points' sums. Hidden features are made piece by piece and never kept.

    Args:
        x: the points' features, L2-normalised, [n, h].
        generator: draws weights and biases, uniform in +-1/sqrt(out), and the dropout masks.
    """

    def __init__(self, x: Tensor, generator: torch.Generator) -> None:
        self.adjacency = Adjacency(x)
        self.propagated = self.adjacency @ x
        self.generator, self._mask_source = generator, mask_source(generator)
        shapes = (x.shape[1], WIDTH), (WIDTH,), (WIDTH, 1), (1,)
        self.parameters = torch.cat([self._draw(*shape).flatten() for shape in shapes])
        self.gradient = torch.empty_like(self.parameters)
        self._on_cpu = x.device.type == "cpu"
        self._piece = _PIECE if self._on_cpu else len(x)
        self.sums, self._products = x.new_empty(len(x)), x.new_empty(min(len(x), self._piece), WIDTH)

    def _draw(self, *shape: int) -> Tensor:
        draw = torch.rand(shape, generator=self.generator, device=self.generator.device)
        return (2 * draw - 1) / math.sqrt(shape[-1])

    def _layers(self, values: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Views of the parameters, or of their derivatives: W1 [h, 128], b1 [128], w2 [128], b2 [1]."""
        w1, b1, w2, b2 = values.split([self.propagated.shape[1] * WIDTH, WIDTH, WIDTH, 1])
        return w1.view(-1, WIDTH), b1, w2, b2

    def _pieces(self, *parts: Tensor) -> Iterator[tuple[Tensor, ...]]:
        return zip(*(part.split(self._piece) for part in (self.propagated, *parts)), strict=True)

    def logits(self) -> Tensor:
        """The sigmoid's input [n] under fresh dropout masks, which are kept for `backward`."""
        w1, b1, w2, b2 = self._layers(self.parameters)
        self.masks = draw_kept((len(self.propagated), WIDTH), DROPOUT, self._mask_source)
        for rows, masks, sums in self._pieces(self.masks, self.sums):
            products = torch.mm(rows, w1, out=self._products[: len(rows)])
            if self._on_cpu:
                _activate(*(part.numpy() for part in (products, b1, w2, masks, sums)))
            else:
                hidden = products + b1
                masks &= hidden > 0
                torch.mv(hidden.mul_(masks), w2, out=sums)
        self.sums /= 1 - DROPOUT
        return self.adjacency @ self.sums + b2

    def backward(self, by_logits: Tensor) -> None:
        """Sets `gradient` from the derivatives [n] of a loss with respect to the last logits."""
        w1, b1, w2, _ = self._layers(self.parameters)
        by_w1, by_b1, by_w2, by_b2 = self._layers(self.gradient)
        self.gradient.zero_()
        for rows, masks, by_sums in self._pieces(self.masks, self.adjacency.transposed(by_logits)):
            by_hidden = self._products[: len(rows)]
            if self._on_cpu:
                _spread(*(part.numpy() for part in (masks, by_sums, by_hidden, by_b1)))
            else:
                by_b1 += torch.mul(masks, by_sums[:, None], out=by_hidden).sum(0)
            by_w1.addmm_(rows.T, by_hidden)
        # sum_n d_n M_nj (A X W1 + b1)_nj, without the hidden features.
        torch.add((w1 * by_w1).sum(0), b1 * by_b1, out=by_w2)
        by_w2 /= 1 - DROPOUT
        by_w1 *= w2 / (1 - DROPOUT)
        by_b1 *= w2 / (1 - DROPOUT)
        by_b2[0] = by_logits.sum()

    def features(self) -> Tensor:
        """Hidden features and the sigmoid's input, dropout off; [n, 129]."""
        w1, b1, w2, b2 = self._layers(self.parameters)
        hidden = torch.addmm(b1, self.propagated, w1).relu_()
        return torch.cat([hidden, (self.adjacency @ (hidden @ w2) + b2)[:, None]], 1)


def by_logits(logits: Tensor, candidates: int) -> Tensor:
    """Derivatives [n] of -mean log(s + 1e-6) of labelled - 1.2 mean log(1 - s + 1e-6) of other points.

    s is the sigmoid of the logits [n], those of the candidates first.
    """
    score = logits.sigmoid()
    slope = score * (1 - score)
    slope[:candidates] *= UNLABELLED_WEIGHT / candidates / (1 - score[:candidates] + EPSILON)
    slope[candidates:] /= (score[candidates:] + EPSILON) * (candidates - len(logits))
    return slope


@torch.no_grad()
def train(x: Tensor, candidates: int, generator: torch.Generator) -> Tensor:
    """Trains the graph network to tell the labelled points; its features [n, 129].

    Args:
        x: features [n, h], the candidates first, the labelled points behind them.
    """
    network = GraphNetwork(F.normalize(x), generator)
    network.parameters.grad = network.gradient
    optimizer = torch.optim.Adam([network.parameters], lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    for _ in range(STEPS):
        network.backward(by_logits(network.logits(), candidates))
        optimizer.step()
    return network.features()


@AGENTS.register("coregcn")
class CoreGCN(Agent):
    """k-center greedy in the features of a graph network of candidates and labelled points."""

    folder = "CoreGCN"
    needs = "embedding"
    reference = "Caramalau et al. 2021, arXiv 2006.10219"

    def select(self, state: State, x: Tensor, count: int) -> np.ndarray:
        encode = state.classifier.encode
        points = torch.cat([encode(x), encode(state.x_labeled)])
        features = train(points, len(x), self.generator)
        return k_center_greedy(features[: len(x)], features[len(x) :], count).cpu().numpy()
