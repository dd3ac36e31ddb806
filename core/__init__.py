"""The benchmark's machinery: experiments, environment, logger, bases of agents and datasets, results.

What is named here is imported when it is first asked for: torch alone takes a second, and `--help` needs none
of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}

if TYPE_CHECKING:
    from . import agent as agent
    from . import dataset as dataset
    from . import environment as environment
    from . import util as util
    from .agent import AGENTS as AGENTS
    from .agent import Agent as Agent
    from .dataset import DATASETS as DATASETS
    from .dataset import Dataset as Dataset
    from .environment import Environment as Environment
    from .errors import UserError as UserError
    from .experiment import Experiment as Experiment
    from .protocol import CORRECTED as CORRECTED
    from .protocol import PROTOCOLS as PROTOCOLS
    from .protocol import PUBLISHED as PUBLISHED
    from .protocol import Protocol as Protocol
    from .report.load import load_results as load_results
    from .runs.logger import EnvironmentLogger as EnvironmentLogger
    from .seeds import Seeds as Seeds
    from .state import State as State
else:  # type checkers go by the imports above, and find a name that is not among them
    __all__ = [*_MODULES, "agent", "dataset", "environment", "util"]

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module 'core' has no attribute '{name}'")
        module = import_module(f"core.{_MODULES.get(name, name)}")
        return getattr(module, name) if name in _MODULES else module


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, "agent", "dataset", "environment", "util"})
