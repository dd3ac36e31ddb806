"""The environments' names in Gymnasium: `gymnasium.make("BalsaBench/Diabetes-v0", query_size=5)`."""

import gymnasium as gym

from ..dataset import DATASETS
from .tasks import TASKS

__all__ = ["env_id", "register"]

#: Of the synthetic tasks: a model small enough that steps are cheap (see `CandidateEnv`'s `config`).
SMALL = {"hidden": (32, 32), "batch_size": 64, "first_epochs": 50, "later_epochs": 20}


def env_id(name: str) -> str:
    """The id of a dataset, or of one of `TASKS`, as in `BalsaBench/Diabetes-v0`."""
    cls = TASKS.get(name) or DATASETS[name]
    return f"BalsaBench/{cls.folder}-v0"


def register() -> None:
    """Registers every dataset by its folder's name, and the synthetic tasks."""
    options: dict[str, dict[str, object]] = {name: {} for name in DATASETS.classes}
    options |= {name: {"anew": True, "variation": "gauss", "config": SMALL} for name in TASKS}
    for name, kwargs in options.items():
        gym.register(
            env_id(name),
            entry_point="core.rl.candidates:CandidateEnv",
            kwargs={"dataset": name, **kwargs},
        )
