"""The benchmark's machinery: experiments, environment, logger, bases of agents and datasets, results."""

from . import agent, dataset, environment, util
from .agent import AGENTS, Agent
from .dataset import DATASETS, Dataset
from .environment import Environment
from .errors import UserError
from .experiment import Experiment, UpperBoundExperiment
from .protocol import CORRECTED, PROTOCOLS, PUBLISHED, Protocol
from .report.reader import load_results
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
    "UpperBoundExperiment",
    "UserError",
    "agent",
    "dataset",
    "environment",
    "load_results",
    "util",
]
