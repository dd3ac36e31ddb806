"""An experiment as an object: all that makes its runs, for scripts, sweeps and notebooks alike.

import core

experiment = core.Experiment("diabetes", "balsa_emd", protocol="corrected", query_size=10)
experiment.run(range(1, 4))
curves = core.load_results("runs").curves
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import torch

from . import util
from .agent import AGENTS, Agent
from .config import Config
from .dataset import DATASETS, Dataset
from .environment import Environment
from .errors import UserError
from .models.variations import load_config, note_default_config
from .protocol import PROTOCOLS
from .runs.groups import SideBySide, group_size, run_all
from .runs.layout import check_writable, experiment_folder, upper_bound_folder
from .runs.logger import EnvironmentLogger
from .runs.provenance import RESULTS_VERSION, provenance
from .runs.sources import code_digest
from .seeds import Seeds
from .training.lockstep import Fitting
from .training.trainer import EarlyStopping
from .upper_bound import EPOCH_LIMIT, UpperBound

__all__ = ["Experiment", "Loop", "Repeated", "UpperBoundExperiment", "play", "train"]

#: Plays an episode to its end: the logged environment, what decides how it goes on (an agent, the early
#: stopping of an upper bound), and what a progress bar says (None for no bar). A generator, for runs side by
#: side.
Loop: TypeAlias = Callable[[EnvironmentLogger, Any, str | None], Fitting[None]]


def play(env: EnvironmentLogger, agent: Agent, title: str | None = None) -> Fitting[None]:
    """The rounds of an experiment, without a bar; `evaluate.py` has the loop at length."""
    state = yield from env.resetting()
    while not env.env.finished:
        state, *_ = yield from env.stepping(agent.predict(state))


def train(env: EnvironmentLogger, stopping: EarlyStopping, title: str | None = None) -> Fitting[None]:
    """The epochs of an upper bound."""
    yield from env.resetting()
    bound: Any = env.env
    with util.tqdm(
        desc=title, disable=title is None, total=bound.epoch_limit, initial=bound.epoch, miniters=2
    ) as bar:
        while not bound.finished:
            yield from env.stepping(())
            bar.set_postfix({"MAE": env.accuracies[1][-1]})
            bar.update()


class Repeated(ABC):
    """What is run several times, each time from seeds of its own: what experiments and upper bounds share."""

    dataset: str
    variation: str
    protocol: str
    pool_seed: int
    model_seed: int
    skip_data_check: bool
    data_folder: Path

    @abstractmethod
    def folder(self, runs_folder: str | Path = "runs") -> Path:
        """Where the results go; each run has a folder `run_<id>` in it."""

    @abstractmethod
    def seeds(self, run_id: int) -> Seeds:
        """The seeds of a run."""

    @abstractmethod
    def environment(self, run_id: int = 1, device: torch.device | str = "cpu") -> Any:
        """The environment of a run, not yet reset."""

    @abstractmethod
    def settings(self) -> dict[str, object]:
        """All that its runs have in common, and that tells them from the runs of others.

        Beside what was asked for: the configuration, digests of the data and of the code of agent and
        dataset, and the version of the results that `core` computes.
        """

    @abstractmethod
    def decider(self, env: Any, run_id: int) -> Any:
        """What decides how a run goes on: its state belongs to a checkpoint."""

    @property
    @abstractmethod
    def loop(self) -> Loop:
        """How an episode is played."""

    def make_dataset(self, run_id: int = 1) -> Dataset:
        """The data of a run: its split and its seed set."""
        make, seeds = DATASETS[self.dataset], self.seeds(run_id)
        return make(self.data_folder, seeds, skip_data_check=self.skip_data_check)

    def run(
        self,
        run_ids: Sequence[int] = (1,),
        runs_folder: str | Path = "runs",
        *,
        device: torch.device | str = "cpu",
        side_by_side: SideBySide = "auto",
        overwrite: bool = False,
        loop: Loop | None = None,
        **record: bool,
    ) -> list[int]:
        """Makes runs; finished ones are left out, unfinished ones go on.

        Args:
            run_ids: ids of the runs, ascending.
            runs_folder: where the results of all experiments go.
            device: where data and models live.
            side_by_side: runs that are trained as one stack.
            overwrite: make runs anew that are there.
            loop: plays an episode, instead of the experiment's own.
            record: what else a run is to write, as of `EnvironmentLogger`: `record_points=True`.

        Returns:
            The ids of those that are finished now, ascending.

        Raises:
            UserError: the folder cannot be written, or holds runs of other settings.
        """
        folder, device = self.folder(runs_folder), torch.device(device)
        check_writable(folder)
        dataset = self.environment(run_ids[0]).dataset  # what cannot be made is said before a file is written
        settings = self.settings()
        note_default_config(self.dataset, self.variation, str(settings["config"]))
        place = {"data_folder": self.data_folder, "device": device, "threads": torch.get_num_threads()}
        made_by = place | provenance()

        def start(run_id: int, log_path: Path, title: str | None) -> Fitting[None]:
            env = self.environment(run_id, device)
            decider = self.decider(env, run_id)
            noted = {**settings, "run_id": run_id, **made_by}
            with EnvironmentLogger(
                env, log_path, util.is_cluster, settings=noted, resume=decider, **record
            ) as logger:
                yield from (loop or self.loop)(logger, decider, title)

        return run_all(
            folder,
            settings,
            run_ids,
            start,
            size=group_size(len(run_ids), side_by_side, dataset, device),
            overwrite=overwrite,
            wanted=[EnvironmentLogger.RECORDS[name] for name, wanted in record.items() if wanted],
        )

    def _of_data(self) -> dict[str, object]:
        """The settings that say which data, and which code."""
        return {
            "dataset_code": code_digest(DATASETS[self.dataset]),
            "data": self.make_dataset().digest(),
            "results_version": RESULTS_VERSION,
        }


@dataclass(frozen=True)
class Experiment(Repeated):
    """An agent on a dataset, with all that makes its runs but their ids.

    Two experiments are equal if their runs are; where the data lie plays no part in that.

    Attributes:
        dataset, agent: names, or aliases, in `DATASETS` and `AGENTS`.
        variation: the model.
        protocol: `published` or `corrected`.
        query_size: points chosen in each round.
        budget: points to add; None for the dataset's own number.
        agent_seed, pool_seed, model_seed: see `Seeds`.
        skip_data_check: go on with a table that is not the published one.
        data_folder: where dataset files lie, or are downloaded to.

    Raises:
        UserError: an unknown name, an agent that does not score the variation's model, or a query
            size above the budget.

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
    skip_data_check: bool = False
    data_folder: Path = field(default=Path("../datasets"), compare=False)

    def __post_init__(self) -> None:
        dataset, agent = DATASETS.name(self.dataset), AGENTS.name(self.agent)
        budget = DATASETS[dataset].budget if self.budget is None else self.budget
        if self.variation not in AGENTS[agent].variations:
            scored = " or ".join(AGENTS[agent].variations)
            raise UserError(f"agent '{agent}' does not score variation {self.variation}, but {scored}")
        if self.query_size > budget:
            raise UserError(
                f"{dataset}: a query size of {self.query_size} is more than the budget of {budget} points"
            )
        folder = Path(self.data_folder)
        for name, value in (
            ("dataset", dataset),
            ("agent", agent),
            ("budget", budget),
            ("data_folder", folder),
        ):
            object.__setattr__(self, name, value)

    def __str__(self) -> str:
        return f"{self.dataset} {self.query_size} {self.agent} {self.variation} {self.protocol}"

    def folder(self, runs_folder: str | Path = "runs") -> Path:
        dataset, agent = DATASETS[self.dataset].folder, AGENTS[self.agent].folder
        return experiment_folder(
            Path(runs_folder), dataset, self.query_size, agent, self.variation, self.protocol
        )

    def seeds(self, run_id: int) -> Seeds:
        return Seeds(run_id, self.agent_seed, self.pool_seed, self.model_seed)

    @property
    def config(self) -> Config:
        """Model and training, as the agent needs them."""
        return AGENTS[self.agent].inject_config(load_config(self.dataset, self.variation)[0])

    def make_agent(self, run_id: int = 1) -> Agent:
        """The agent of a run."""
        return AGENTS[self.agent](self.query_size, self.seeds(run_id), PROTOCOLS[self.protocol])

    def environment(self, run_id: int = 1, device: torch.device | str = "cpu") -> Environment:
        dataset, protocol = self.make_dataset(run_id), PROTOCOLS[self.protocol]
        return Environment(dataset, self.config, protocol, device=device, budget=self.budget)

    def decider(self, env: Environment, run_id: int) -> Agent:
        return self.make_agent(run_id)

    @property
    def loop(self) -> Loop:
        return play

    def settings(self) -> dict[str, object]:
        names = ("dataset", "agent", "variation", "protocol", "query_size", "budget", "skip_data_check")
        asked = {name: getattr(self, name) for name in (*names, "agent_seed", "pool_seed", "model_seed")}
        config = {"config": load_config(self.dataset, self.variation)[1].name, **asdict(self.config)}
        return asked | {"agent_code": code_digest(AGENTS[self.agent])} | self._of_data() | config


@dataclass(frozen=True)
class UpperBoundExperiment(Repeated):
    """The 'full dataset' line of the study's figures; see `UpperBound`.

    Attributes:
        dataset: name in `DATASETS`.
        variation, protocol, pool_seed, model_seed, skip_data_check, data_folder: as of `Experiment`.
        epoch_limit: most epochs.
    """

    dataset: str
    variation: str = "nf"
    protocol: str = "published"
    pool_seed: int = 1
    model_seed: int = 1
    epoch_limit: int = EPOCH_LIMIT
    skip_data_check: bool = False
    data_folder: Path = field(default=Path("../datasets"), compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "dataset", DATASETS.name(self.dataset))
        object.__setattr__(self, "data_folder", Path(self.data_folder))

    def folder(self, runs_folder: str | Path = "runs") -> Path:
        return upper_bound_folder(
            Path(runs_folder), DATASETS[self.dataset].folder, self.variation, self.protocol
        )

    def seeds(self, run_id: int) -> Seeds:
        return Seeds(run_id, pool_seed=self.pool_seed, model_seed=self.model_seed)

    def environment(self, run_id: int = 1, device: torch.device | str = "cpu") -> UpperBound:
        config, _ = load_config(self.dataset, self.variation)
        dataset, protocol = self.make_dataset(run_id), PROTOCOLS[self.protocol]
        return UpperBound(dataset, config, protocol, device=device, epoch_limit=self.epoch_limit)

    def decider(self, env: UpperBound, run_id: int) -> EarlyStopping:
        return env.stopping

    @property
    def loop(self) -> Loop:
        return train

    def settings(self) -> dict[str, object]:
        names = ("dataset", "variation", "protocol", "skip_data_check", "pool_seed", "model_seed")
        asked = {name: getattr(self, name) for name in (*names, "epoch_limit")}
        config, file = load_config(self.dataset, self.variation)
        unused = ("fitting", "first_epochs", "later_epochs", "patience")
        model = {name: value for name, value in asdict(config).items() if name not in unused}
        return asked | self._of_data() | {"config": file.name} | model
