# ruff: noqa: F401 (what is imported here is imported from here)
"""The benchmark's machinery: experiments, environment, logger, bases of agents and datasets, results.

What is named here is imported when it is first asked for: torch alone takes a second, and `--help` needs none
of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import agent, dataset, environment, util
    from .agent import AGENTS, Agent
    from .dataset import DATASETS, Dataset
    from .environment import Environment
    from .errors import UserError
    from .experiment import Experiment
    from .protocol import CORRECTED, PROTOCOLS, PUBLISHED, Protocol
    from .report.load import load_results
    from .runs.logger import EnvironmentLogger
    from .seeds import Seeds
    from .state import State
    from .suggestion.select import select

#: From each module what `core` has of it.
_NAMES = {
    "agent": ("AGENTS", "Agent"),
    "dataset": ("DATASETS", "Dataset"),
    "environment": ("Environment",),
    "errors": ("UserError",),
    "experiment": ("Experiment",),
    "protocol": ("CORRECTED", "PROTOCOLS", "PUBLISHED", "Protocol"),
    "report.load": ("load_results",),
    "runs.logger": ("EnvironmentLogger",),
    "seeds": ("Seeds",),
    "state": ("State",),
    "suggestion.select": ("select",),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"core.{_MODULES[name]}"), name)
    if name in ("agent", "dataset", "environment", "util"):
        return import_module(f"core.{name}")
    raise AttributeError(f"module 'core' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
