"""CoreGCN: k-center greedy in the features of a graph network told labelled from unlabelled.

Caramalau, Bhattarai, Kim, *Sequential Graph Convolutional Network for Active Learning*, 2021,
arXiv 2006.10219. Shapes: n points (candidates, then labelled), h width of the embedding.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.agent import AGENTS, Agent
from core.models.masks import dropout
from core.state import State

from .selections import k_center_greedy

__all__ = ["Adjacency", "GraphNetwork", "train"]

WIDTH, DROPOUT = 128, 0.3
STEPS, LEARNING_RATE, WEIGHT_DECAY = 200, 1e-3, 5e-4
UNLABELLED_WEIGHT, EPSILON = 1.2, 1e-6


class Adjacency:
    """A = (X X^T - I) D^-1 + I as an operator, D the column sums of X X^T - I plus 1e-6.

    X X^T is never formed: A H = X (X^T (D^-1 H)) - D^-1 H + H costs O(n h^2) and no n x n memory.

    Args:
        x: the points' features, L2-normalised, [n, h].
    """

    def __init__(self, x: Tensor) -> None:
        self.x = x
        self.inverse_degree = 1 / (x @ x.sum(0) - 1 + EPSILON)[:, None]

    def __matmul__(self, h: Tensor) -> Tensor:
        scaled = self.inverse_degree * h
        return self.x @ (self.x.T @ scaled) - scaled + h


class GraphNetwork(nn.Module):
    """Two graph convolutions A (H W) + b: h to 128 with ReLU and dropout, 128 to 1.

    Args:
        width: width h of the points' features.
        generator: draws weights and biases, uniform in +-1/sqrt(out), and the dropout masks.
    """

    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.generator = generator
        self.w1, self.b1 = self._draw(width, WIDTH), self._draw(WIDTH)
        self.w2, self.b2 = self._draw(WIDTH, 1), self._draw(1)

    def _draw(self, *shape: int) -> nn.Parameter:
        draw = torch.rand(shape, generator=self.generator, device=self.generator.device)
        return nn.Parameter((2 * draw - 1) / math.sqrt(shape[-1]))

    def forward(self, adjacency: Adjacency, propagated: Tensor, drop: bool) -> tuple[Tensor, Tensor]:
        """Hidden features [n, 128] and the sigmoid's input [n].

        Args:
            propagated: A X, the same in every step: A (X W) = (A X) W.
            drop: apply dropout between the convolutions.
        """
        hidden = torch.addmm(self.b1, propagated, self.w1)
        if drop:  # before the ReLU, which it commutes with: one large tensor less to keep
            hidden = dropout(hidden[None], DROPOUT, [self.generator]).squeeze(0)
        hidden = hidden.relu_()
        return hidden, (adjacency @ (hidden @ self.w2) + self.b2)[:, 0]


def train(x: Tensor, candidates: int, generator: torch.Generator) -> Tensor:
    """Trains the graph network to tell the labelled points; its features [n, 129].

    Args:
        x: features [n, h], the candidates first, the labelled points behind them.
    """
    x = F.normalize(x)
    adjacency = Adjacency(x)
    propagated = adjacency @ x
    network = GraphNetwork(x.shape[1], generator)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    for _ in range(STEPS):
        score = network(adjacency, propagated, drop=True)[1].sigmoid()
        unlabelled, labelled = score[:candidates], score[candidates:]
        loss = -(labelled + EPSILON).log().mean()
        loss = loss - UNLABELLED_WEIGHT * (1 - unlabelled + EPSILON).log().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        hidden, logit = network(adjacency, propagated, drop=False)
    return torch.cat([hidden, logit[:, None]], 1)


@AGENTS.register("coregcn")
class CoreGCN(Agent):
    """Graph network on candidates and labelled points, then k-center greedy in its features.

    Formula: k-center greedy in the features of a graph network
    Needs: embedding
    Reference: Caramalau et al. 2021, arXiv 2006.10219
    """

    folder = "CoreGCN"

    def select(self, state: State, x: Tensor, count: int) -> np.ndarray:
        encode = state.classifier.encode
        points = torch.cat([encode(x), encode(state.x_labeled)])
        features = train(points, len(x), self.generator)
        return k_center_greedy(features[: len(x)], features[len(x) :], count).cpu().numpy()
