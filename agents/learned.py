"""A policy that was learned by reinforcement (docs/LEARNING.md)."""

from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from core.agent import AGENTS, Agent
from core.protocol import PUBLISHED, Protocol
from core.rl.policy import Features, load_policy
from core.seeds import Seeds
from core.state import State


@AGENTS.register("learned")
class Learned(Agent):
    """The scores of a learned policy, which compares the candidates with each other."""

    folder = "Learned"
    needs = "the policy's scores, density"
    asks = frozenset({"passes", "embedding", "gradients"})
    reference = "Konyushkova, Sznitman, Fua 2018, arXiv 1810.04114"
    policy: ClassVar[Path] = Path(__file__).resolve().parent.parent / "policies/synthetic.pt"
    dropout = 0.05  # one of the scores that it sees is of stochastic passes

    def __init__(
        self, query_size: int, seeds: Seeds, protocol: Protocol = PUBLISHED, policy: Path | None = None
    ) -> None:
        super().__init__(query_size, seeds, protocol)
        self.network = load_policy(policy or self.policy)
        self.features = Features(self.network.scores, seeds, protocol)

    @torch.no_grad()
    def score(self, state: State, x: Tensor) -> Tensor:
        candidates = self.features.of_candidates(state, x, self.generator)
        run, mask = self.features.of_run(state), torch.ones(1, len(x), device=x.device)
        return self.network.to(x.device)(candidates[None], run[None], mask)[0]
