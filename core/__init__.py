"""The benchmark's machinery: environment, logger, bases of agents and datasets, models, results."""

from . import agent, dataset, environment, util
from .agent import AGENTS, Agent
from .dataset import DATASETS, Dataset
from .environment import Environment
from .errors import UserError
from .protocol import CORRECTED, PROTOCOLS, PUBLISHED, Protocol
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
    "Protocol",
    "Seeds",
    "State",
    "UserError",
    "agent",
    "dataset",
    "environment",
    "util",
]
