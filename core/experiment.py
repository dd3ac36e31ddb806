"""An experiment as an object: all that makes its runs, for scripts, sweeps and notebooks alike.

import core

experiment = core.Experiment("diabetes", "balsa_emd", protocol="corrected", query_size=10)
experiment.run(range(1, 4))
curves = core.load_results("runs").curves
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from . import util
from .agent import AGENTS, Agent
from .config import Config, check_changes
from .environment import Environment
from .errors import UserError
from .models.variations import VARIATIONS
from .protocol import PROTOCOLS
from .repeated import Repeated, name_of
from .runs.layout import experiment_folder
from .runs.logger import EnvironmentLogger
from .runs.sources import code_digest
from .seeds import Seeds

__all__ = ["Experiment"]


@dataclass(frozen=True)
class Experiment(Repeated):
    """An agent on a dataset, with all that makes its runs but their ids.

    Two experiments are equal if their runs are; where the data lie plays no part in that.

    Attributes:
        dataset: a name, or alias, in `DATASETS`, the path of a table, or `openml:<id>`.
        agent: a name, or alias, in `AGENTS`.
        variation: the model.
        protocol: `published` or `corrected`.
        query_size: points chosen in each round.
        budget: points to add; None for the dataset's own number.
        agent_seed, pool_seed, model_seed: see `Seeds`.
        target, seed_set: of a table, as of `core.data.own.find_dataset`.
        skip_data_check: go on with a table that is not the published one.
        config: keys of a configuration (`core.config.Config`) with values that replace the usual ones.
        policy: file of the policy of an agent that follows one; None for the agent's own.
        data_folder: where dataset files lie, or are downloaded to.

    Raises:
        UserError: an unknown name, a table or a policy that cannot be used, an agent that does not score
            the variation's model, or a query size above the budget.

    Example:
        >>> Experiment("diabetes", "bald_point", query_size=10).folder("runs").as_posix()
        'runs/Diabetes/10/BALD_Point'
    """

    dataset: str
    agent: str
    variation: str = "nf"
    protocol: str = "published"
    query_size: int = 50
    budget: int | None = None
    agent_seed: int = 1
    pool_seed: int = 1
    model_seed: int = 1
    target: str | None = None
    seed_set: int | None = None
    skip_data_check: bool = False
    config: Mapping[str, Any] = field(default_factory=dict, hash=False)
    policy: Path | None = None
    data_folder: Path = field(default=Path("../datasets"), compare=False)

    def __post_init__(self) -> None:
        self._check_names()
        dataset, agent = name_of(self.dataset), AGENTS.name(self.agent)
        budget = self.dataset_class.budget if self.budget is None else self.budget
        if self.variation not in AGENTS[agent].variations:
            scored = " or ".join(AGENTS[agent].variations)
            raise UserError(f"agent '{agent}' does not score variation {self.variation}, but {scored}")
        if self.query_size < 1:
            raise UserError(f"a query size is at least 1, not {self.query_size}")
        if self.query_size > budget:
            raise UserError(
                f"{dataset}: a query size of {self.query_size} is more than the budget of {budget} points"
            )
        policy = self.policy or AGENTS[agent].policy
        if policy is not None and AGENTS[agent].policy is None:
            raise UserError(f"agent '{agent}' follows no policy")
        changes = check_changes(self.config, "config")
        if "members" in changes and not VARIATIONS[self.variation].ensemble:
            raise UserError(f"config: 'members' is only allowed for ensembles, not for {self.variation}")
        folder = Path(self.data_folder)
        for name, value in (
            ("policy", policy and Path(policy).resolve()),
            ("dataset", dataset),
            ("agent", agent),
            ("budget", budget),
            ("config", changes),
            ("data_folder", folder),
        ):
            object.__setattr__(self, name, value)
        if policy is not None:
            self.make_agent()  # a policy that cannot be read is refused here

    def __str__(self) -> str:
        return f"{self.dataset_name} {self.query_size} {self.agent} {self.variation} {self.protocol}"

    def folder(self, runs_folder: str | Path = "runs") -> Path:
        dataset, agent = self.dataset_class.folder, AGENTS[self.agent].folder
        return experiment_folder(
            Path(runs_folder), dataset, self.query_size, agent, self.variation, self.protocol
        )

    def seeds(self, run_id: int) -> Seeds:
        return Seeds(run_id, self.agent_seed, self.pool_seed, self.model_seed)

    @property
    def hyperparameters(self) -> Config:
        """Model and training: those of `configs/`, the protocol, `config` and the agent."""
        usual, _ = self.usual_config()
        return AGENTS[self.agent].inject_config(replace(usual, **self.config))

    def make_agent(self, run_id: int = 1) -> Agent:
        """The agent of a run."""
        follows = {} if self.policy is None else {"policy": self.policy}
        return AGENTS[self.agent](self.query_size, self.seeds(run_id), PROTOCOLS[self.protocol], **follows)

    def environment(self, run_id: int = 1, device: torch.device | str = "cpu") -> Environment:
        dataset, protocol = self.make_dataset(run_id), PROTOCOLS[self.protocol]
        return Environment(dataset, self.hyperparameters, protocol, device=device, budget=self.budget)

    def decider(self, env: Environment, run_id: int) -> Agent:
        return self.make_agent(run_id)

    def play(self, env: Environment, decider: Agent, log_path: Path) -> None:
        with EnvironmentLogger(env, log_path, util.is_cluster) as logger:
            state = logger.reset()
            while not env.finished:
                state, *_ = logger.step(decider.predict(state))

    def settings(self) -> dict[str, object]:
        names = ("agent", "variation", "protocol", "query_size", "budget", "skip_data_check")
        asked = {name: getattr(self, name) for name in (*names, "agent_seed", "pool_seed", "model_seed")}
        asked = {"dataset": self.dataset_name} | asked
        config = {"config": self.usual_config()[1].name}
        config |= asdict(self.hyperparameters)
        code = code_digest(AGENTS[self.agent.partition("+")[0]])  # a suffix's code is core's
        if self.policy is not None:
            asked["policy"] = hashlib.sha256(self.policy.read_bytes()).hexdigest()
        made_by = {"agent_code": code, "agent_version": AGENTS[self.agent].version}
        return asked | made_by | self._definition() | config
