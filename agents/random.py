"""The baseline."""

import numpy as np
from torch import Tensor

from core.agent import AGENTS, Agent
from core.state import State


@AGENTS.register("random")
class RandomAgent(Agent):
    """Uniformly at random, without replacement."""

    folder = "RandomAgent"
    needs = "nothing"
    batch_aware = "no"

    def select(self, state: State, x: Tensor, count: int) -> np.ndarray:
        return self.rng.choice(len(x), count, replace=False)
