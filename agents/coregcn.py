"""CoreGCN: a graph network that separates labelled points from others.

Caramalau, Bhattarai, Kim, *Sequential Graph Convolutional Network for Active Learning*, 2021,
arXiv 2006.10219: trained to minimise -mean log(s + 1e-6) of the labelled points - 1.2 mean log(1 - s + 1e-6)
of the candidates, s the network's sigmoid. n points (candidates, then labelled), h width of the embedding.
"""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from core.agent import AGENTS, Agent
from core.compiled import compiled
from core.models.masks import draw_kept, mask_source
from core.state import State

from .shared.selections import k_center_greedy

WIDTH, DROPOUT = 128, 0.3
STEPS, LEARNING_RATE, WEIGHT_DECAY = 200, 1e-3, 5e-4
UNLABELLED_WEIGHT, EPSILON = 1.2, 1e-6

# Points that go through the network at once on the CPU, few enough to stay in the cache.
_PIECE = 1024

_compiled = compiled(fastmath={"contract", "reassoc", "nsz"})


class Adjacency:
    """A = (X X^T - I) D^-1 + I, D the column sums of X X^T - I plus 1e-6, of rows x [n, h] of norm 1.

    X X^T is never formed: A H = X (X^T (D^-1 H)) - D^-1 H + H costs O(n h^2) and no n x n memory.
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
    """Bias, ReLU, dropout and second layer, in one loop over the first layer's products [n, 128].

    Sets bytes of `masks` [n, 128] to 0 where a hidden feature is not positive, and `sums` [n].
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
    """Sets derivatives `by_hidden` [n, 128] from those of the sums [n]; adds their sum to `by_bias`."""
    total = np.zeros_like(by_bias)
    for n in range(len(masks)):
        for j in range(len(by_bias)):
            by_hidden[n, j] = by_sums[n] if masks[n, j] else by_sums.dtype.type(0)
            total[j] += by_hidden[n, j]
    by_bias += total


def _loss_slopes(logits: Tensor, candidates: int) -> Tensor:
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
    """Trains the graph network to recognise labelled points; its hidden features and logits [n, 129].

    Features x [n, h] are of the candidates, then of the labelled points. Two graph convolutions A (H W) + b,
    h to 128 with ReLU and dropout, 128 to 1; weights and biases start uniform in +-1/sqrt(out).

    A (X W) = (A X) W, and A X is the same in every step. All derivatives follow from the masks M [n, 128] (1
    where a feature is positive and not dropped) and one product (A X)^T (M d), d [n] the derivatives with
    respect to the points' sums. Hidden features are made piece by piece and never kept.
    """
    adjacency = Adjacency(F.normalize(x))
    inputs, source = adjacency @ adjacency.x, mask_source(generator)
    n, h = inputs.shape
    drawn = []
    for shape in ((h, WIDTH), (WIDTH,), (WIDTH, 1), (1,)):
        draw = torch.rand(shape, generator=generator, device=generator.device)
        drawn.append(((2 * draw - 1) / math.sqrt(shape[-1])).flatten())
    parameters = torch.cat(drawn)
    gradient = parameters.grad = torch.zeros_like(parameters)
    optimizer = torch.optim.Adam([parameters], lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    w1, b1, w2, b2 = parameters.split([h * WIDTH, WIDTH, WIDTH, 1])
    by_w1, by_b1, by_w2, by_b2 = gradient.split([h * WIDTH, WIDTH, WIDTH, 1])
    w1, by_w1 = w1.view(h, WIDTH), by_w1.view(h, WIDTH)

    on_cpu = x.device.type == "cpu"
    size = _PIECE if on_cpu else n
    sums, products = x.new_empty(n), x.new_empty(min(n, size), WIDTH)
    for _ in range(STEPS):
        all_masks = draw_kept((n, WIDTH), DROPOUT, source)
        pieces = list(zip(inputs.split(size), all_masks.split(size), strict=True))
        for (rows, masks), piece in zip(pieces, sums.split(size), strict=True):
            hidden = torch.mm(rows, w1, out=products[: len(rows)])
            if on_cpu:
                _activate(*(part.numpy() for part in (hidden, b1, w2, masks, piece)))
            else:
                hidden += b1
                masks &= hidden > 0
                torch.mv(hidden.mul_(masks), w2, out=piece)
        sums /= 1 - DROPOUT
        by_logits = _loss_slopes(adjacency @ sums + b2, candidates)

        gradient.zero_()
        for (rows, masks), by_sums in zip(pieces, adjacency.transposed(by_logits).split(size), strict=True):
            by_hidden = products[: len(rows)]
            if on_cpu:
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
        optimizer.step()
    hidden = torch.addmm(b1, inputs, w1).relu_()
    return torch.cat([hidden, (adjacency @ (hidden @ w2) + b2)[:, None]], 1)


@AGENTS.register("coregcn")
class CoreGCN(Agent):
    """k-center greedy in the features of a graph network of candidates and labelled points."""

    folder = "CoreGCN"
    asks = frozenset({"embedding"})
    reference = "Caramalau et al. 2021, arXiv 2006.10219"

    def select(self, state: State, x: Tensor, count: int) -> Tensor:
        encode = state.classifier.encode
        points = torch.cat([encode(x), encode(state.x_labeled)])
        features = train(points, len(x), self.generator)
        return k_center_greedy(features[: len(x)], features[len(x) :], count)
