"""A policy that was learned by reinforcement (docs/LEARNING.md)."""

from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from core.agent import AGENTS, Agent
from core.protocol import PUBLISHED, Protocol
from core.rl.features import Features
from core.rl.scorer import load_policy
from core.seeds import Seeds
from core.state import State


@AGENTS.register("learned")
class Learned(Agent):
    """The scores of a learned policy, which sees how the candidates stand among each other.

    Formula: what the policy's network says of the candidates' features (LEARNING.md)
    Needs: the policy's scores, density
    Batch-aware: no
    Reference: Konyushkova, Sznitman, Fua 2018, arXiv 1810.04114

    Args:
        policy: its file; the one of this repository if None.

    Raises:
        UserError: the file is no policy.
    """

    folder = "Learned"
    policy: ClassVar[Path | None] = Path(__file__).resolve().parent.parent / "policies/synthetic.pt"
    dropout = 0.05  # one of the scores that it sees is of stochastic passes

    def __init__(
        self, query_size: int, seeds: Seeds, protocol: Protocol = PUBLISHED, policy: Path | None = None
    ) -> None:
        super().__init__(query_size, seeds, protocol)
        path = policy or self.policy
        assert path is not None
        loaded = load_policy(path)
        self.scorer = loaded.scorer
        self.features = Features(loaded.scores, seeds, protocol)

    @torch.no_grad()
    def score(self, state: State, x: Tensor) -> Tensor:
        candidates = self.features.of_candidates(state, x, self.generator)
        run, everywhere = self.features.of_run(state), torch.ones(1, len(x), device=x.device)
        return self.scorer.to(x.device)(candidates[None], run[None], everywhere)[0]
