"""Where every random number of a run comes from.

Each use of randomness has a stream of its own, so that one more draw in one place changes
nothing in another, and a run depends on its seeds and its run id alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

# use -> (key of its stream, the seed of the user that it takes; None: always 1)
_USES = {
    "split": (0, "pool_seed"),  # validation split and seed set
    "init": (1, "model_seed"),  # initial weights
    "dropout": (2, "model_seed"),  # masks while training
    "batches": (3, None),  # minibatch order
    "candidates": (4, "agent_seed"),  # subsample of the pool
    "agent": (5, "agent_seed"),  # whatever an agent draws
    "evaluation": (6, "model_seed"),  # samples behind MAE and CRPS
}


@dataclass(frozen=True)
class Seeds:
    """The seeds of one run; hands out generators named by their use."""

    run_id: int = 1
    agent_seed: int = 1
    pool_seed: int = 1
    model_seed: int = 1

    def sequence(self, use: str, member: int = 0) -> np.random.SeedSequence:
        """The seed sequence of a use; the first member of an ensemble has that of a single model."""
        key, seed = _USES[use]
        return np.random.SeedSequence([1 if seed is None else getattr(self, seed), self.run_id, key, member])

    def numpy(self, use: str) -> np.random.Generator:
        """A fresh numpy generator at the start of the use's stream."""
        return np.random.default_rng(self.sequence(use))

    def torch(self, use: str, device: torch.device | str = "cpu", member: int = 0) -> torch.Generator:
        """A fresh torch generator at the start of the use's stream, on `device`."""
        import torch

        seed = int(self.sequence(use, member).generate_state(1, np.uint64)[0])
        # torch takes seeds below 2**63 on every device.
        return torch.Generator(device).manual_seed(seed >> 1)
