"""An experiment as an object that makes its runs, for scripts, sweeps and notebooks alike."""

import hashlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from . import util
from .agent import AGENTS, check_scores
from .baselines import AllPoints, Oracle, Trials, UpperBound
from .batches import next_batch, query_size
from .config import CONFIGS, Config, check_changes
from .data.own import find_dataset, is_own
from .dataset import DATASETS, Dataset
from .environment import Environment
from .errors import UserError, check_known
from .files import check_writable
from .models.variations import VARIATIONS, load_config
from .options import DECISIONS, SEEDS, Options
from .protocol import PROTOCOLS
from .runs.files import POINTS, PREDICTIONS, runs_root
from .runs.group import SideBySide, group_size, run_all
from .runs.logger import EnvironmentLogger
from .runs.settings import code_digest
from .seeds import Seeds

#: Bounds that can be named instead of an agent, with their result folders: training on all points, and a
#: greedy choice that sees the test set.
BASELINES = {"full_data": "UpperBound", "oracle": "Oracle"}


@dataclass(frozen=True)
class Experiment(Options):
    """An agent, or one of `BASELINES`, on a dataset, with all settings of its runs except their ids.

    `Options` has the fields. Names may be aliases; a `budget` of None becomes the dataset's own number; a
    `query_size` may be several, such as `10,20,40`; `config` has keys of `core.config.Config` with values
    that replace the usual ones. Raises a UserError if these cannot be run together.

    Example:
        >>> Experiment("diabetes", "bald_point", query_size=10).folder("runs").as_posix()
        'runs/Diabetes/10/BALD_Point'
    """

    def __post_init__(self) -> None:
        check_known("variation", self.variation, VARIATIONS)
        check_known("protocol", self.protocol, PROTOCOLS)
        settled: dict[str, Any] = {name: tuple(getattr(self, name)) for name in DECISIONS}
        settled |= {
            "dataset": self.dataset if is_own(self.dataset) else DATASETS.name(self.dataset),
            "agent": self.agent if self.agent in BASELINES else AGENTS.name(self.agent),
            "query_size": 1 if self.agent in BASELINES else query_size(self.query_size),
            "budget": self.dataset_class.budget if self.budget is None else self.budget,
            "config": check_changes(self.config or {}, "config"),
            "skip_data_check": bool(self.skip_data_check),
            "data_folder": Path(self.data_folder),
        }
        for name, value in settled.items():
            object.__setattr__(self, name, value)
        if self.config and VARIATIONS[self.variation].regressor:
            raise UserError(f"config: {self.variation} has no hyper-parameters that could be changed")
        if "members" in self.config and not VARIATIONS[self.variation].ensemble:
            raise UserError(f"config: 'members' is only allowed for ensembles, not for {self.variation}")
        if self.agent in BASELINES:
            return
        check_scores(self.agent, self.variation)
        if next_batch(self.query_size, 0) > self.budget:
            size = f"a query size of {self.query_size}"
            raise UserError(f"{self.dataset}: {size} is more than the budget of {self.budget} points")
        own_policy = AGENTS[self.agent].policy
        if self.policy and not own_policy:
            raise UserError(f"agent '{self.agent}' follows no policy")
        if policy := self.policy or own_policy:
            object.__setattr__(self, "policy", Path(policy).resolve())
            self.make_agent()  # a policy that cannot be read is refused here

    def __str__(self) -> str:
        return f"{self.dataset_name} {self.query_size} {self.agent} {self.variation} {self.protocol}"

    @property
    def dataset_class(self) -> type[Dataset]:
        decisions = {name: getattr(self, name) for name in DECISIONS}
        return find_dataset(self.dataset, self.target, self.seed_set, self.data_folder, decisions)

    @property
    def dataset_name(self) -> str:
        """The data's name in settings, configurations and reports; for your own table, that of its file."""
        return self.dataset_class.folder if is_own(self.dataset) else self.dataset

    def folder(self, runs_folder: str | Path = "runs") -> Path:
        """Where the results go; each run has a folder `run_<id>` in it."""
        folder = runs_root(Path(runs_folder), self.variation, self.protocol) / self.dataset_class.folder
        if self.agent in BASELINES:
            return folder / BASELINES[self.agent]
        return folder / str(self.query_size) / AGENTS[self.agent].folder

    def seeds(self, run_id: int) -> Seeds:
        return Seeds(run_id, self.agent_seed, self.pool_seed, self.model_seed)

    @property
    def hyperparameters(self) -> Config:
        """Model and training: those of `configs/`, the protocol, `config` and the agent."""
        usual = load_config(self.dataset_name, self.variation, PROTOCOLS[self.protocol])
        config = replace(usual, **self.config)
        return config if self.agent in BASELINES else AGENTS[self.agent].inject_config(config)

    def make_dataset(self, run_id: int = 1) -> Dataset:
        """The data of a run: its split and its seed set."""
        seeds = self.seeds(run_id)
        return self.dataset_class(self.data_folder, seeds, skip_data_check=self.skip_data_check)

    def environment(self, run_id: int = 1, device: torch.device | str = "cpu") -> Any:
        data = self.make_dataset(run_id), self.hyperparameters, PROTOCOLS[self.protocol]
        if self.agent == "full_data":
            return UpperBound(*data, device=device, epoch_limit=self.epoch_limit)
        make = Oracle if self.agent == "oracle" else Environment
        return make(*data, device=device, budget=self.budget)

    def make_agent(self, run_id: int = 1, env: Any = None) -> Any:
        """The agent of a run; that of `full_data` stops its `env`."""
        seeds = self.seeds(run_id)
        if self.agent == "full_data":
            return AllPoints(env.stopping)
        if self.agent == "oracle":
            return Trials(seeds, self.tried)
        policy = {} if self.policy is None else {"policy": self.policy}
        return AGENTS[self.agent](self.query_size, seeds, PROTOCOLS[self.protocol], **policy)

    def settings(self) -> dict[str, object]:
        """What its runs have in common: options, configuration, digests of data and code, versions."""
        config = asdict(self.hyperparameters)
        if VARIATIONS[self.variation].regressor:
            config = {"model": config["model"]}
        made_by: dict[str, object] = {}
        names: tuple[str, ...]
        if self.agent == "full_data":
            names = ("variation", "protocol", "skip_data_check", "pool_seed", "model_seed", "epoch_limit")
            unused = ["fitting", "first_epochs", "later_epochs"]
            if not config.get("best_weights"):
                unused += ["patience", "first_patience", "check_every", "watched_rows"]
            config = {name: value for name, value in config.items() if name not in unused}
        elif self.agent == "oracle":
            names = ("variation", "protocol", "budget", "tried", "skip_data_check", *SEEDS)
            made_by = {"sees_test_set": True}
        else:
            names = ("agent", "variation", "protocol", "query_size", "budget", "skip_data_check", *SEEDS)
            if self.policy is not None:
                made_by = {"policy": hashlib.sha256(self.policy.read_bytes()).hexdigest()}
            made_by["agent_code"] = code_digest(AGENTS[self.agent.partition("+")[0]])
            made_by["agent_version"] = AGENTS[self.agent].version
        return {
            "dataset": self.dataset_name,
            "seed_set": self.dataset_class.seed_set,
            **{name: getattr(self, name) for name in names},
            **made_by,
            **self.dataset_class.more_settings,
            "data": self.make_dataset().digest(),
            "protocol_version": PROTOCOLS[self.protocol].version,
            **config,
        }

    def run(
        self,
        run_ids: Sequence[int] = (1,),
        runs_folder: str | Path = "runs",
        *,
        device: torch.device | str = "cpu",
        side_by_side: SideBySide = "auto",
        overwrite: bool = False,
        play: Callable[[Any, Any, Path], None] | None = None,
        record_points: bool = False,
        record_predictions: bool = False,
    ) -> list[int]:
        """Makes runs; skips finished ones, and resumes unfinished ones.

        Args:
            side_by_side: runs that are trained as one stack.
            overwrite: make finished runs again.
            play: plays a run, given environment, agent and folder; a plain loop without a progress bar if
                None.
            record_points: also write `selected_points.pt` and `selected_rows.csv`.
            record_predictions: also write `predictions.npz`.

        Returns the ids of those that are finished now. A UserError if the folder cannot be written, or holds
        runs of other settings.
        """
        if not run_ids:
            raise UserError("no run ids are given")
        folder, device = self.folder(runs_folder), torch.device(device)
        check_writable(folder)
        # Raise errors before a file is written.
        size = group_size(len(run_ids), side_by_side, self.environment(run_ids[0]).dataset, device)
        settings = self.settings()
        if not (CONFIGS / f"{self.dataset_name}.yaml").exists():
            print(f"note: no configs/{self.dataset_name}.yaml, default.yaml is used", file=sys.stderr)
        place = {"data_folder": self.data_folder, "device": device, "threads": torch.get_num_threads()}
        wanted = [POINTS] * record_points + [PREDICTIONS] * record_predictions

        def start(run_id: int, log_path: Path) -> None:
            env = self.environment(run_id, device)
            agent = self.make_agent(run_id, env)
            env.logger_options = {
                "settings": {**settings, "run_id": run_id, **place},
                "resume": agent,
                "record_points": record_points,
                "record_predictions": record_predictions,
            }
            (play or _play)(env, agent, log_path)

        return run_all(folder, settings, run_ids, start, size=size, overwrite=overwrite, wanted=wanted)


def _play(env: Any, agent: Any, log_path: Path) -> None:
    with EnvironmentLogger(env, log_path, util.is_cluster) as logger:
        state = logger.reset()
        while not env.finished:
            state, *_ = logger.step(agent.predict(state))
