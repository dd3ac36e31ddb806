"""The base of all agents: subsample the pool, score the candidates, take the top."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from .batch_noise import SUFFIXES, perturbed
from .config import Config
from .errors import UserError
from .models.densities import Density
from .models.variations import VARIATIONS
from .protocol import PUBLISHED, Protocol
from .registry import Registry
from .seeds import Seeds
from .state import State

__all__ = ["AGENTS", "Agent", "top"]


#: `<agent>+dropout05` chooses as the agent does, with a model that is trained as those of BALD and BALSA are.
DROPOUT = {"dropout05": 0.05}


class _Agents(Registry["Agent"]):
    """The agents by name, and as `<name>+<suffix>` with another training or another choice.

    `classes` are those that were registered. The suffixes are those of `DROPOUT` and, for agents that score,
    of `core.batch_noise.SUFFIXES`.
    """

    def name(self, name: str) -> str:
        """As of `Registry`; a suffix stays behind what the name stands for.

        Raises:
            UserError: nothing has that name, there is no such suffix, or the agent does not score.
        """
        agent, plus, suffix = name.partition("+")
        agent = super().name(agent)
        if not plus:
            return agent
        if suffix not in SUFFIXES | DROPOUT:
            known = ", ".join(f"+{one}" for one in SUFFIXES | DROPOUT)
            raise UserError(f"agent '{name}': there is no suffix '+{suffix}', but {known}")
        if suffix in SUFFIXES and self.classes[agent].score is Agent.score:
            raise UserError(f"agent '{name}': {agent} has no scores that +{suffix} could perturb")
        return f"{agent}+{suffix}"

    def __getitem__(self, name: str) -> "type[Agent]":
        agent, _, suffix = self.name(name).partition("+")
        cls = self.classes[agent]
        return _with_suffix(cls, suffix) if suffix else cls  # type: ignore[arg-type]


AGENTS = _Agents("agent", package="agents")


def top(scores: Tensor, count: int) -> Tensor:
    """Positions of the `count` highest scores, highest first; ties in order, NaN as +inf."""
    scores = torch.where(scores.isnan(), torch.inf, scores)
    return scores.sort(descending=True, stable=True).indices[:count]


class Agent:
    """Chooses which points of the pool to label next.

    A subclass names its result folder and implements `score`, or `select` where the batch is not
    the top of the scores.

    Args:
        query_size: points to choose in each call.
        seeds: the run's seeds; the streams `candidates` and `agent` are used.
        protocol: `PUBLISHED` or `CORRECTED`.

    Attributes:
        rng, generator: the agent's own randomness, for numpy and for torch (on the state's device).
        scores: of the points chosen last [k], in their order; None where an agent has none.
    """

    #: Name of the folder of its results.
    folder: ClassVar[str]
    #: Raise it when what the agent computes changes (not for rounding or random draws): runs of two versions
    #: are not pooled.
    version: ClassVar[int] = 1
    #: Its name in figures, a subclass's own; without one the registered name, spelled for people.
    label: ClassVar[str] = ""
    #: Size of the pool's subsample that is scored (a larger batch takes a larger one).
    candidates: ClassVar[int] = 10_000
    #: The model's dropout rate is raised to this, for training too; None leaves it.
    dropout: ClassVar[float | None] = None
    #: File of the learned policy that it follows unless another is named; None for one that follows none.
    policy: ClassVar[Path | None] = None
    #: Densities that it can score.
    density: ClassVar[type[Density]] = Density
    #: Variations whose models have such densities.
    variations: ClassVar[tuple[str, ...]] = tuple(VARIATIONS)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "variations" in vars(cls):
            raise TypeError(f"{cls.__name__}: an agent says the `density` that it scores, not its variations")
        cls.variations = tuple(
            name for name, variation in VARIATIONS.items() if issubclass(variation.density, cls.density)
        )

    def __init__(
        self,
        query_size: int,
        seeds: Seeds,
        protocol: Protocol = PUBLISHED,
    ) -> None:
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
        """Chooses points: `predict(state)` and `predict(*state)` are the same.

        Returns:
            Distinct indices into `state.x_unlabeled`, 1-D, in the order they were chosen;
            `query_size` of them, fewer only where the pool or the budget has fewer left.
        """
        state = state if isinstance(state, State) else State(state, *fields)
        if state.x_unlabeled.device != self.generator.device:
            before, self.generator = self.generator, self._seeds.torch("agent", state.x_unlabeled.device)
            if before.device.type == self.generator.device.type:  # resumed on another GPU
                self.generator.set_state(before.get_state())
        pool = len(state.x_unlabeled)
        count = min(self.query_size, pool, state.budget - state.added_images)
        if count <= 0:
            return np.empty(0, dtype=np.int64)
        candidates = np.arange(pool)
        size = max(self.candidates, count)
        if pool > size:
            candidates = np.sort(self._candidates.choice(pool, size, replace=False))
        rows = state.x_unlabeled[torch.from_numpy(candidates).to(state.x_unlabeled.device)]
        return candidates[self.select(state, rows, count)]

    def state_dict(self) -> dict[str, Any]:
        """What an agent keeps from round to round; one that keeps more adds it here.

        Tensors and plain values, in lists and dicts: a checkpoint holds nothing that would be
        executed when it is read.
        """
        return {
            "rng": json.dumps(self.rng.bit_generator.state),
            "candidates": json.dumps(self._candidates.bit_generator.state),
            "device": self.generator.device.type,
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from what `state_dict` gave."""
        self.rng.bit_generator.state = json.loads(state["rng"])
        self._candidates.bit_generator.state = json.loads(state["candidates"])
        self.generator = self._seeds.torch("agent", state["device"])
        self.generator.set_state(state["generator"])

    def select(self, state: State, x: Tensor, count: int) -> np.ndarray:
        """Positions in x [N, d], the candidates, of `count` points, in the order they are chosen."""
        scores = self.score(state, x)
        chosen = top(scores, count)
        self.scores = scores[chosen]
        return chosen.cpu().numpy()

    def score(self, state: State, x: Tensor) -> Tensor:
        """How much each candidate of x [N, d] is wanted, [N]; the highest scores are chosen."""
        raise NotImplementedError(f"{type(self).__name__} implements neither score nor select")


@cache
def _with_suffix(cls: type[Agent], suffix: str) -> type[Agent]:
    """An agent that trains with more dropout, or whose batch is the top of its scores with noise."""

    def select(self: Agent, state: State, x: Tensor, count: int) -> np.ndarray:
        noisy = perturbed(self.score(state, x), suffix, self.generator)
        return top(noisy, count).cpu().numpy()

    class WithSuffix(cls):  # type: ignore[valid-type, misc]
        folder = f"{cls.folder}+{suffix}"

    if suffix in DROPOUT:
        WithSuffix.dropout = DROPOUT[suffix]
    else:
        WithSuffix.select = select
    # Its code is the agent's: of that module is the digest in its runs' settings.
    WithSuffix.__module__, WithSuffix.__name__ = cls.__module__, f"{cls.__name__}_{suffix}"
    return WithSuffix
