"""The benchmark as an environment for reinforcement learning, and learned policies.

Start with `candidates.py`, the environment and its synthetic tasks; `policy.py` is what a policy sees, its
network and its file, `ppo.py` learning and evaluation, which alone needs the extra `rl`. Importing this
package registers an environment of each dataset with Gymnasium, and one with a new small task each episode.
"""

import gymnasium as gym

from ..dataset import DATASETS
from .candidates import SMALL, Synthetic

for name, cls in (DATASETS.classes | {"synthetic": Synthetic}).items():
    small = {"anew": True, "variation": "gauss", "config": SMALL} if cls is Synthetic else {}
    entry_point, kwargs = "core.rl.candidates:CandidateEnv", {"dataset": name, **small}
    gym.register(f"BalsaBench/{cls.folder}-v0", entry_point, kwargs=kwargs)
