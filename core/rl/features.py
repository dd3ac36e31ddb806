"""What a policy sees: numbers that say of each candidate how it stands among the others, and of the run.

All are finite and lie in [-10, 10], whatever the dataset, the model and the number of candidates.

Shapes: N candidates, L labelled points, d features, m and k numbers of a candidate and of the run.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..agent import AGENTS
from ..config import Config
from ..protocol import Protocol
from ..seeds import Seeds
from ..state import State

__all__ = ["LIMIT", "RUN", "SCORES", "Features"]

#: The agents whose scores a policy sees.
SCORES = ("coreset", "nf_entropy", "balsa_kl_pairs")
#: All numbers are clipped to [-LIMIT, LIMIT].
LIMIT = 10.0
#: Names of the numbers of a run, in their order.
RUN = ("budget_used", "log_labelled", "label_mean", "label_std", "label_skewness", "fit_nll")

_RANKED = ("distance", "label_distance", "sparsity", "std")
_PLAIN = ("distance", "std", "mean")

# Rows of the pool, whose order is random, that the density of points is judged by; neighbours of each.
_CROWD, _NEIGHBOURS = 1000, 10
_PIECE = 2048


class Features:
    """The numbers of candidates and of a run, from what an agent may see.

    Of a candidate: its rank in [0, 1] by each agent's score, by its distance to the labelled points, by the
    distance of the predicted mean to the labels, by the mean distance to its 10 nearest neighbours in the
    pool, and by the predicted standard deviation; then that distance / sqrt(d), the standard deviation in
    units of that of the labels, and the predicted mean.

    Args:
        scores: names of agents that score.
        seeds, protocol: of the run.

    Raises:
        UserError: there is no such agent.
    """

    def __init__(self, scores: Sequence[str], seeds: Seeds, protocol: Protocol) -> None:
        self.agents = [AGENTS[name](1, seeds, protocol) for name in scores]
        self.names = names_of(scores)

    @torch.no_grad()
    def of_candidates(self, state: State, x: Tensor, generator: torch.Generator) -> Tensor:
        """Of candidates x [N, d]; float32 [N, m]."""
        ranked = []
        for agent in self.agents:
            agent.generator = generator  # one stream for all, on the state's device
            ranked.append(agent.score(state, x))
        densities = [state.classifier(rows) for rows in x.split(_PIECE)]
        mean, std = (torch.cat([getattr(one, name) for one in densities]) for name in ("mean", "stddev"))
        distance = _nearest(x, state.x_labeled, 1)
        by_label = _nearest(mean[:, None], state.y_labeled[:, None], 1)
        ranked += [distance, by_label, _nearest(x, state.x_unlabeled[:_CROWD], _NEIGHBOURS), std]
        plain = [distance / x.shape[1] ** 0.5, std / _spread(state), mean]
        ranks = _ranks(torch.stack([values.double() for values in ranked], 1))
        return torch.cat([ranks.to(x.device), _clipped(torch.stack(plain, 1))], 1)

    @torch.no_grad()
    def of_run(self, state: State) -> Tensor:
        """Of the run; float32 [k]. The errors on the test set, which a state holds, are not looked at."""
        y = state.y_labeled
        values = [
            state.added_images / state.budget,
            float(np.log10(len(y))),
            float(y.mean()),
            float(y.std()),
            float(((y - y.mean()) / _spread(state)).pow(3).mean()),
            float(-state.classifier(state.x_labeled).log_prob(y).mean()),
        ]
        return _clipped(torch.tensor(values, device=y.device))


def names_of(scores: Sequence[str]) -> tuple[str, ...]:
    """Names of the m numbers of a candidate, in their order."""
    return (*(f"rank_{name}" for name in (*scores, *_RANKED)), *_PLAIN)


def with_scores(config: Config, scores: Sequence[str]) -> Config:
    """A configuration as those agents need it."""
    for name in scores:
        config = AGENTS[name].inject_config(config)
    return config


def _spread(state: State) -> float:
    return max(float(state.y_labeled.std()), 1e-6)


def _nearest(x: Tensor, others: Tensor, count: int) -> Tensor:
    """Mean distance of each row of x [N, d] to the nearest `count` of the others; [N]."""
    count = min(count, len(others))
    pieces = [torch.cdist(rows, others).topk(count, largest=False).values for rows in x.split(_PIECE)]
    return torch.cat(pieces).mean(1)


def _ranks(columns: Tensor) -> Tensor:
    """In each column of [N, r]: from 0, the lowest, to 1; equal values share a rank, NaN is the highest."""
    from scipy.stats import rankdata

    columns = torch.where(columns.isnan(), torch.inf, columns)
    ranks = rankdata(columns.cpu().numpy(), axis=0) - 1
    return torch.from_numpy(ranks / max(len(ranks) - 1, 1)).float()


def _clipped(values: Tensor) -> Tensor:
    return values.float().nan_to_num(0.0, LIMIT, -LIMIT).clamp(-LIMIT, LIMIT)
