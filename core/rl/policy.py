"""A learned policy: the numbers that it sees, the network that scores candidates, and its file.

N candidates (C in each of B observations), L labelled points, d features, m and k numbers of a candidate and
of the run, w width.
"""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..agent import AGENTS
from ..errors import UserError
from ..files import one_line, write_file
from ..protocol import Protocol
from ..seeds import Seeds
from ..state import State

#: The agents whose scores a policy sees.
SCORES = ("coreset", "nf_entropy", "balsa_kl_pairs")
#: All numbers are clipped to [-LIMIT, LIMIT].
LIMIT = 10.0
#: Names of the k numbers of a run, in their order.
RUN = ("budget_used", "log_labelled", "label_mean", "label_std", "label_skewness", "fit_nll")

_RANKED = ("distance", "label_distance", "sparsity", "std", "change", "disagreement")
_PLAIN = ("distance", "std", "mean", "disagreement")

# Rows of the pool, whose order is random, that the density of points is judged by; neighbours of each.
_CROWD, _NEIGHBOURS = 1000, 10
_PIECE = 2048

_VERSION = 2


def names_of(scores: Sequence[str]) -> tuple[str, ...]:
    """Names of the m numbers of a candidate, in their order."""
    return (*(f"rank_{name}" for name in (*scores, *_RANKED)), *_PLAIN)


class Features:
    """The numbers of candidates and of a run, from what an agent may see: finite, in [-10, 10].

    For a candidate: its rank in [0, 1] by the score of each agent in `scores`, by its distance to the
    labelled points, by the distance of the predicted mean to the labels, by the mean distance to its 10
    nearest neighbours in the pool, by the predicted standard deviation s, by the expected change of the model
    (s times the norm of the gradient of the mean: Cai, Zhang, Zhou, *Maximizing Expected Model Change for
    Active Learning in Regression*, 2013), and by the distance of the mean from that of a small forest; then
    the distance / sqrt(d), s and the distance from the forest in units of the labels' standard deviation, and
    the predicted mean.
    """

    def __init__(self, scores: Sequence[str], seeds: Seeds, protocol: Protocol) -> None:
        self.agents = [AGENTS[name](1, seeds, protocol) for name in scores]

    @torch.no_grad()
    def of_candidates(self, state: State, x: Tensor, generator: torch.Generator) -> Tensor:
        """The numbers of candidates x [N, d]; float32 [N, m]."""
        ranked = []
        for agent in self.agents:
            agent.generator = generator  # one stream for all, on the state's device
            ranked.append(agent.score(state, x))
        densities = [state.classifier(rows) for rows in x.split(_PIECE)]
        mean, std = (torch.cat([getattr(one, name) for one in densities]) for name in ("mean", "stddev"))
        distance = _mean_distance(x, state.x_labeled, 1)
        label_distance = _mean_distance(mean[:, None], state.y_labeled[:, None], 1)
        sparsity = _mean_distance(x, state.x_unlabeled[:_CROWD], _NEIGHBOURS)
        change = std * torch.cat([_gradient_norm(state, rows) for rows in x.split(_PIECE)])
        disagreement = (mean - _forest_mean(state, x)).abs()
        ranked += [distance, label_distance, sparsity, std, change, disagreement]
        unit = _label_std(state)
        plain = [distance / x.shape[1] ** 0.5, std / unit, mean, disagreement / unit]
        ranks = _ranks(torch.stack([values.double() for values in ranked], 1))
        return torch.cat([ranks.to(x.device), _clipped(torch.stack(plain, 1))], 1)

    @torch.no_grad()
    def of_run(self, state: State) -> Tensor:
        """The numbers of the run, without the state's errors on the test set; float32 [k]."""
        y = state.y_labeled
        values = [
            state.added_images / state.budget,
            float(np.log10(len(y))),
            float(y.mean()),
            float(y.std()),
            float(((y - y.mean()) / _label_std(state)).pow(3).mean()),
            float(-state.classifier(state.x_labeled).log_prob(y).mean()),
        ]
        return _clipped(torch.tensor(values, device=y.device))


def _gradient_norm(state: State, x: Tensor) -> Tensor:
    """Norm of the gradient of the predicted mean by all weights, for each row of x [N, d]; [N]."""
    layers = state.classifier.gradients(x, of="mean")
    squares = [a.square().sum(-1) * b.square().sum(-1) for a, b in layers]  # [S, N] each
    return torch.stack(squares).sum((0, 1)).sqrt()


def _forest_mean(state: State, x: Tensor) -> Tensor:
    """Predictions for rows x [N, d] by a forest of ten trees, grown on the labelled points; [N]."""
    from sklearn.ensemble import ExtraTreesRegressor

    trees = ExtraTreesRegressor(10, min_samples_leaf=2, random_state=0)
    trees.fit(state.x_labeled.cpu().numpy(), state.y_labeled.cpu().numpy())
    return torch.from_numpy(trees.predict(x.cpu().numpy())).to(x)


def _label_std(state: State) -> float:
    return max(float(state.y_labeled.std()), 1e-6)


def _mean_distance(x: Tensor, others: Tensor, count: int) -> Tensor:
    """Mean distance of each row of x [N, d] to the nearest `count` of the others; [N]."""
    count = min(count, len(others))
    pieces = [torch.cdist(rows, others).topk(count, largest=False).values for rows in x.split(_PIECE)]
    return torch.cat(pieces).mean(1)


def _ranks(columns: Tensor) -> Tensor:
    """Ranks in each column of [N, r], from 0, the lowest, to 1; equal values share a rank, NaN is highest."""
    from scipy.stats import rankdata

    columns = torch.where(columns.isnan(), torch.inf, columns)
    ranks = rankdata(columns.cpu().numpy(), axis=0) - 1
    return torch.from_numpy(ranks / max(len(ranks) - 1, 1)).float()


def _clipped(values: Tensor) -> Tensor:
    return values.float().nan_to_num(0.0, LIMIT, -LIMIT).clamp(-LIMIT, LIMIT)


def masked_mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean over the candidates in the mask: [B, C, w], [B, C] -> [B, w]; 0 if there are none."""
    return (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)


class Policy(nn.Module):
    """Scores each candidate by its own numbers, the run's, and the mean over all candidates.

    Candidates in another order get their scores in that order, and there may be any number of them
    (Zaheer et al., *Deep Sets*, 2017, arXiv 1703.06114).
    """

    def __init__(self, scores: Sequence[str] = SCORES, width: int = 64) -> None:
        super().__init__()
        self.scores, self.width = tuple(scores), width
        self.trained: dict[str, Any] = {}  # how, in words and numbers
        numbers = len(names_of(scores)) + len(RUN)
        self.each = nn.Sequential(nn.Linear(numbers, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh())
        self.score = nn.Sequential(nn.Linear(2 * width, width), nn.Tanh(), nn.Linear(width, 1))

    def forward(self, candidates: Tensor, run: Tensor, mask: Tensor) -> Tensor:
        """Scores [B, C] of candidates [B, C, m] in runs [B, k]; mask [B, C] is 1 where there is one."""
        everywhere = run[:, None].expand(-1, candidates.shape[1], -1)
        hidden = self.each(torch.cat([candidates, everywhere], -1))
        mean = masked_mean(hidden, mask)[:, None].expand_as(hidden)
        return self.score(torch.cat([hidden, mean], -1))[..., 0]

    @torch.no_grad()
    def best(self, seen: Mapping[str, np.ndarray]) -> int:
        """The position of the candidate with the highest score, in an observation of the environment."""
        candidates, context, mask = (
            torch.from_numpy(seen[name])[None] for name in ("candidates", "context", "mask")
        )
        scores = self(candidates, context[:, : len(RUN)], mask)
        return int(torch.where(mask > 0, scores, -torch.inf).argmax())


def save_policy(path: Path, policy: Policy) -> None:
    """Writes a policy's file, whole or not at all."""
    content = {
        "version": _VERSION,
        "scores": list(policy.scores),
        "run": list(RUN),
        "width": policy.width,
        "trained": policy.trained,
        "weights": {name: tensor.cpu() for name, tensor in policy.state_dict().items()},
    }
    write_file(path, lambda part: torch.save(content, part))


def load_policy(path: Path) -> Policy:
    """Reads what `save_policy` wrote, without executing anything; a UserError if it is not a policy."""
    try:
        with warnings.catch_warnings():  # of pickles that are not torch's
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
        if content["version"] != _VERSION or content["run"] != list(RUN):
            raise UserError("it is of another version")
        with torch.device("meta"):  # initial weights would be drawn from the generator of the whole process
            policy = Policy([AGENTS.name(name) for name in content["scores"]], content["width"])
        policy.load_state_dict(content["weights"], assign=True)
        policy.trained = content["trained"]
        if not all(tensor.isfinite().all() for tensor in policy.parameters()):
            raise UserError("its weights are not finite")
    except OSError as error:
        raise UserError(f"the policy {path} cannot be read: {error.strerror or error}") from error
    # torch raises nearly anything on what it did not write, or will not execute.
    except Exception as error:
        reason = error if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        raise UserError(f"{path} is no policy, or a damaged one: {one_line(reason, 100)}") from error
    return policy.float().requires_grad_(False)
