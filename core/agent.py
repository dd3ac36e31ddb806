"""The base of all agents: subsample the pool, score the candidates, take the top."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from .batches import QuerySize, next_batch
from .config import Config
from .errors import UserError
from .models.densities import Density
from .models.variations import VARIATIONS
from .protocol import PUBLISHED, Protocol
from .registry import Registry
from .seeds import Seeds
from .state import State

#: What an agent's name may end with, after a `+`: how its scores s are perturbed, G ~ Gumbel(0, 1).
SUFFIXES = {"power": "log s + G", "softmax": "s + G", "softrank": "G - log rank of s"}
#: `<agent>+dropout05` is the agent with a model trained like those of BALD and BALSA.
DROPOUT = {"dropout05": 0.05}


class _Agents(Registry["Agent"]):
    """The agents by name, and as `<name>+<suffix>` with more dropout or with noise on their scores."""

    def name(self, name: str) -> str:
        """The registered name, with the suffix if there is one; a UserError if no agent has it."""
        agent, plus, suffix = name.partition("+")
        agent = super().name(agent)
        if plus and suffix not in SUFFIXES | DROPOUT:
            known = ", ".join(f"+{one}" for one in SUFFIXES | DROPOUT)
            raise UserError(f"agent '{name}': there is no suffix '+{suffix}', but {known}")
        if suffix in SUFFIXES and self.classes[agent].score is Agent.score:
            raise UserError(f"agent '{name}': {agent} has no scores that +{suffix} could perturb")
        return agent + plus + suffix

    def __getitem__(self, name: str) -> "type[Agent]":
        agent, _, suffix = self.name(name).partition("+")
        cls = self.classes[agent]
        return _with_suffix(cls, suffix) if suffix else cls  # type: ignore[arg-type]


AGENTS = _Agents("agent", package="agents")


def check_scores(agent: str, variation: str) -> None:
    """Raises a UserError if an agent cannot score the models of a variation; both must be known names."""
    if variation not in (scored := AGENTS[agent].variations):
        raise UserError(f"agent '{agent}' needs variation {' or '.join(scored)}, not {variation}")


def top(scores: Tensor, count: int) -> Tensor:
    """Positions of the `count` highest scores, highest first; ties in order, NaN as +inf."""
    scores = torch.where(scores.isnan(), torch.inf, scores)
    return scores.sort(descending=True, stable=True).indices[:count]


def perturbed(scores: Tensor, suffix: str, generator: torch.Generator) -> Tensor:
    """The scores [N] with Gumbel noise drawn for each, float64 [N]; their top is a stochastic batch.

    NaN stays NaN, except that `softrank` ranks it highest; `power` raises scores that are not positive to the
    smallest positive float. Kirsch et al., *Stochastic Batch Acquisition: A Simple Baseline for Deep Active
    Learning*, 2023, arXiv 2106.12059, with its coldness beta = 1.
    """
    scores = scores.double()
    noise = torch.empty_like(scores).exponential_(generator=generator).log_().neg_()
    if suffix == "softmax":
        return scores + noise
    if suffix == "power":
        return scores.clamp(min=torch.finfo(scores.dtype).tiny).log() + noise
    ranks = torch.empty_like(scores)
    ranks[top(scores, len(scores))] = torch.arange(1.0, len(scores) + 1).to(scores)
    return noise - ranks.log()


class Agent:
    """Chooses which points of the pool to label next.

        agent = AGENTS["coreset"](query_size=5, seeds=Seeds(1), protocol=CORRECTED)
        chosen = agent.predict(state)  # int64 [5]: rows of state.x_unlabeled [N, d], distinct, best first

    A new agent sets `folder` and implements `score`, which maps candidates x [C, d], a random part of the
    pool, to scores [C]; the highest are chosen. If a batch is more than its best points, it implements
    `select` instead, which maps x [C, d] and b to the chosen positions [b] in x. `state` has the labelled
    points and the model, `state.classifier`. Random numbers come from `self.generator` (torch, on the state's
    device) or `self.rng` (numpy). After `predict`, `self.scores` [b] are the scores of the chosen points, if
    there are any.
    """

    #: Name of its result folder.
    folder: ClassVar[str]
    #: Raise it when what the agent computes changes (not for rounding or random draws): runs of two versions
    #: are not pooled.
    version: ClassVar[int] = 1
    #: Its name in figures; without one, the registered name.
    label: ClassVar[str] = ""
    #: Size of the pool's subsample that is scored (a larger batch takes a larger one).
    candidates: ClassVar[int] = 10_000
    #: The model's dropout rate is raised to this, for training too; None leaves it.
    dropout: ClassVar[float | None] = None
    #: File of the learned policy that it follows by default; None if it follows none.
    policy: ClassVar[Path | None] = None
    #: Densities that it can score, what else it asks of a model (of `passes`, `embedding`, `gradients`), and
    #: the variations whose models have both.
    density: ClassVar[type[Density]] = Density
    asks: ClassVar[frozenset[str]] = frozenset()
    variations: ClassVar[tuple[str, ...]] = tuple(VARIATIONS)

    # What docs/AGENTS.md says of it.
    #: Its score, or how it chooses a batch; the docstring's first line if empty.
    formula: ClassVar[str] = ""
    #: What the table of agents says it needs; if empty, what it `asks` of a model, or else a density.
    needs: ClassVar[str] = ""
    #: Whether a choice depends on those before it in the batch; if empty, yes with a `select` of its own.
    batch_aware: ClassVar[str] = ""
    reference: ClassVar[str] = "-"

    def __init_subclass__(cls) -> None:
        cls.variations = tuple(
            name
            for name, variation in VARIATIONS.items()
            if issubclass(variation.density, cls.density) and cls.asks <= variation.offers
        )

    def __init__(self, query_size: QuerySize, seeds: Seeds, protocol: Protocol = PUBLISHED) -> None:
        self.query_size = query_size
        self.protocol = protocol
        self.rng = seeds.numpy("agent")
        self.generator = seeds.torch("agent")
        self.scores: Tensor | None = None
        self._seeds = seeds
        self._candidates = seeds.numpy("candidates")

    @classmethod
    def inject_config(cls, config: Config) -> Config:
        """The experiment's configuration as this agent needs it, before the model is built."""
        if cls.dropout is None or config.members > 1:  # an ensemble's members are the passes
            return config
        return replace(config, dropout=max(config.dropout, cls.dropout))

    def predict(self, state: State | Tensor, *fields: Any) -> np.ndarray:
        """Distinct rows of `state.x_unlabeled`, in the order they were chosen; `predict(*state)` is the same.

        As many as `query_size` says for this round, or as pool and budget have left.
        """
        state = state if isinstance(state, State) else State(state, *fields)
        if state.x_unlabeled.device != self.generator.device:
            before, self.generator = self.generator, self._seeds.torch("agent", state.x_unlabeled.device)
            if before.device.type == self.generator.device.type:  # resumed on another GPU
                self.generator.set_state(before.get_state())
        pool, left = len(state.x_unlabeled), state.budget - state.added_images
        count = min(next_batch(self.query_size, state.added_images), pool, left)
        if count <= 0:
            return np.empty(0, dtype=np.int64)
        candidates = np.arange(pool)
        if pool > (size := max(self.candidates, count)):
            candidates = np.sort(self._candidates.choice(pool, size, replace=False))
        rows = state.x_unlabeled[torch.from_numpy(candidates).to(state.x_unlabeled.device)]
        return candidates[torch.as_tensor(self.select(state, rows, count)).cpu().numpy()]

    def select(self, state: State, x: Tensor, count: int) -> Tensor | np.ndarray:
        """Positions [count] in x [C, d], the candidates, in the order they are chosen."""
        scores = self.score(state, x)
        chosen = top(scores, count)
        self.scores = scores[chosen]
        return chosen

    def score(self, state: State, x: Tensor) -> Tensor:
        """Scores [C] of the candidates x [C, d]; the highest are chosen."""
        raise NotImplementedError(f"{type(self).__name__} implements neither score nor select")

    def state_dict(self) -> dict[str, Any]:
        """What the agent remembers between rounds, as tensors and plain values; add what else yours does."""
        return {
            "rng": json.dumps(self.rng.bit_generator.state),
            "candidates": json.dumps(self._candidates.bit_generator.state),
            "device": self.generator.device.type,
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` returned."""
        self.rng.bit_generator.state = json.loads(state["rng"])
        self._candidates.bit_generator.state = json.loads(state["candidates"])
        self.generator = self._seeds.torch("agent", state["device"])
        self.generator.set_state(state["generator"])


@cache
def _with_suffix(cls: type[Agent], suffix: str) -> type[Agent]:
    """An agent that trains with more dropout, or adds noise to its scores."""

    class WithSuffix(cls):  # type: ignore[valid-type, misc]
        folder = f"{cls.folder}+{suffix}"
        dropout = DROPOUT.get(suffix, cls.dropout)
        if suffix in SUFFIXES:

            def select(self, state: State, x: Tensor, count: int) -> Tensor:
                return top(perturbed(self.score(state, x), suffix, self.generator), count)

    return WithSuffix
