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

__all__ = [
    "AGENTS",
    "CORRECTED",
    "DATASETS",
    "PROTOCOLS",
    "PUBLISHED",
    "Agent",
    "Dataset",
    "Environment",
    "EnvironmentLogger",
    "Experiment",
    "Protocol",
    "Seeds",
    "State",
    "UserError",
    "agent",
    "dataset",
    "environment",
    "load_results",
    "util",
]

#: The modules of these names; the other names of `__all__` are modules themselves.
_MODULES = {
    "AGENTS": "agent",
    "Agent": "agent",
    "CORRECTED": "protocol",
    "DATASETS": "dataset",
    "Dataset": "dataset",
    "Environment": "environment",
    "EnvironmentLogger": "runs.logger",
    "Experiment": "experiment",
    "PROTOCOLS": "protocol",
    "PUBLISHED": "protocol",
    "Protocol": "protocol",
    "Seeds": "seeds",
    "State": "state",
    "UserError": "errors",
    "load_results": "report.load",
}


if not TYPE_CHECKING:  # type checkers go by the imports above, and find a name that is not among them

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module 'core' has no attribute '{name}'")
        module = import_module(f"core.{_MODULES.get(name, name)}")
        return getattr(module, name) if name in _MODULES else module


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
