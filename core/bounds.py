"""What agents are held against: training on all points, and a choice that sees the test set."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from . import util
from .oracle import TRIED, Oracle, Trials
from .protocol import PROTOCOLS
from .repeated import Repeated, name_of
from .runs.layout import oracle_folder, upper_bound_folder
from .runs.logger import EnvironmentLogger
from .seeds import Seeds
from .training.trainer import EarlyStopping
from .upper_bound import EPOCH_LIMIT, UpperBound

__all__ = ["OracleExperiment", "UpperBoundExperiment"]


@dataclass(frozen=True)
class UpperBoundExperiment(Repeated):
    """The 'full dataset' line of the study's figures; see `UpperBound`.

    Attributes:
        dataset, variation, protocol, pool_seed, model_seed: as of `Experiment`.
        epoch_limit: most epochs.
        target, seed_set, skip_data_check, data_folder: as of `Experiment`.
    """

    dataset: str
    variation: str = "nf"
    protocol: str = "published"
    pool_seed: int = 1
    model_seed: int = 1
    epoch_limit: int = EPOCH_LIMIT
    target: str | None = None
    seed_set: int | None = None
    skip_data_check: bool = False
    data_folder: Path = field(default=Path("../datasets"), compare=False)

    def __post_init__(self) -> None:
        self._check_names()
        object.__setattr__(self, "dataset", name_of(self.dataset))
        object.__setattr__(self, "data_folder", Path(self.data_folder))

    def folder(self, runs_folder: str | Path = "runs") -> Path:
        return upper_bound_folder(Path(runs_folder), self.dataset_class.folder, self.variation, self.protocol)

    def seeds(self, run_id: int) -> Seeds:
        return Seeds(run_id, pool_seed=self.pool_seed, model_seed=self.model_seed)

    def environment(self, run_id: int = 1, device: torch.device | str = "cpu") -> UpperBound:
        config, _ = self.usual_config()
        dataset, protocol = self.make_dataset(run_id), PROTOCOLS[self.protocol]
        return UpperBound(dataset, config, protocol, device=device, epoch_limit=self.epoch_limit)

    def decider(self, env: UpperBound, run_id: int) -> EarlyStopping:
        return env.stopping

    def play(self, env: UpperBound, decider: EarlyStopping, log_path: Path) -> None:
        with EnvironmentLogger(env, log_path, util.is_cluster) as logger:
            logger.reset()
            with util.tqdm(total=env.epoch_limit, initial=env.epoch, miniters=2) as bar:
                while not env.finished:
                    logger.step(())
                    bar.set_postfix({"MAE": logger.accuracies[1][-1]})
                    bar.update()

    def settings(self) -> dict[str, object]:
        names = ("variation", "protocol", "skip_data_check", "pool_seed", "model_seed", "epoch_limit")
        asked = {"dataset": self.dataset_name} | {name: getattr(self, name) for name in names}
        config, file = self.usual_config()
        unused = {"fitting", "first_epochs", "later_epochs"}
        if not config.best_weights:
            unused |= {"patience", "check_every", "watched_rows"}
        model = {name: value for name, value in asdict(config).items() if name not in unused}
        return asked | self._definition() | {"config": file.name} | model


@dataclass(frozen=True)
class OracleExperiment(Repeated):
    """A greedy choice that sees the test set, as a bound for agents, which do not; see `core.oracle`.

    Attributes:
        dataset, variation, protocol, budget, agent_seed, pool_seed, model_seed: as of `Experiment`.
        tried: points that are tried in each round.
        target, seed_set, skip_data_check, data_folder: as of `Experiment`.

    Raises:
        UserError: an unknown name, or a table that cannot be used.
    """

    dataset: str
    variation: str = "nf"
    protocol: str = "published"
    budget: int | None = None
    tried: int = TRIED
    agent_seed: int = 1
    pool_seed: int = 1
    model_seed: int = 1
    target: str | None = None
    seed_set: int | None = None
    skip_data_check: bool = False
    data_folder: Path = field(default=Path("../datasets"), compare=False)

    def __post_init__(self) -> None:
        self._check_names()
        object.__setattr__(self, "dataset", name_of(self.dataset))
        if self.budget is None:
            object.__setattr__(self, "budget", self.dataset_class.budget)
        object.__setattr__(self, "data_folder", Path(self.data_folder))

    def folder(self, runs_folder: str | Path = "runs") -> Path:
        return oracle_folder(Path(runs_folder), self.dataset_class.folder, self.variation, self.protocol)

    def seeds(self, run_id: int) -> Seeds:
        return Seeds(run_id, self.agent_seed, self.pool_seed, self.model_seed)

    def environment(self, run_id: int = 1, device: torch.device | str = "cpu") -> Oracle:
        config, _ = self.usual_config()
        dataset, protocol = self.make_dataset(run_id), PROTOCOLS[self.protocol]
        return Oracle(dataset, config, protocol, device=device, budget=self.budget)

    def decider(self, env: Oracle, run_id: int) -> Trials:
        return Trials(self.seeds(run_id), self.tried)

    def play(self, env: Oracle, decider: Trials, log_path: Path) -> None:
        with EnvironmentLogger(env, log_path, util.is_cluster) as logger:
            state = logger.reset()
            with util.tqdm(total=env.budget, initial=env.added, miniters=2) as bar:
                while not env.finished:
                    state, *_ = logger.step(decider.draw(len(state.x_unlabeled)))
                    bar.set_postfix({"MAE": logger.accuracies[1][-1]})
                    bar.update()

    def settings(self) -> dict[str, object]:
        names = ("variation", "protocol", "budget", "tried", "skip_data_check")
        asked = {name: getattr(self, name) for name in (*names, "agent_seed", "pool_seed", "model_seed")}
        asked = {"dataset": self.dataset_name} | asked
        config, file = self.usual_config()
        return asked | {"sees_test_set": True} | self._definition() | {"config": file.name} | asdict(config)
