"""What experiments and bounds share: runs from seeds of their own, in one folder, of one set of settings."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch

from .config import Config
from .data.own import find_dataset, is_own
from .dataset import DATASETS, Dataset
from .errors import UserError, check_known
from .models.variations import VARIATIONS, load_config, note_default_config
from .protocol import PROTOCOLS
from .runs.groups import SideBySide, group_size, run_all
from .runs.layout import check_writable
from .runs.logger import EnvironmentLogger
from .runs.provenance import provenance
from .runs.sources import code_digest
from .seeds import Seeds

__all__ = ["Play", "Repeated", "name_of"]

#: Makes a run, from `reset` to its files: its environment, what decides how it goes on (an agent, the early
#: stopping of an upper bound), and its folder.
Play: TypeAlias = Callable[[Any, Any, Path], None]


class Repeated(ABC):
    """What is run several times, each time from seeds of its own: what experiments and upper bounds share."""

    dataset: str
    variation: str
    protocol: str
    pool_seed: int
    model_seed: int
    target: str | None
    seed_set: int | None
    skip_data_check: bool
    data_folder: Path

    @property
    def dataset_class(self) -> type[Dataset]:
        """The class of the data."""
        return find_dataset(self.dataset, self.target, self.seed_set, self.data_folder)

    @property
    def dataset_name(self) -> str:
        """The data's name in settings, configurations and reports: of a table, that of its file."""
        return self.dataset_class.folder if is_own(self.dataset) else self.dataset

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
        dataset, and the versions of protocol and agent.
        """

    @abstractmethod
    def decider(self, env: Any, run_id: int) -> Any:
        """What decides how a run goes on: its state belongs to a checkpoint."""

    @abstractmethod
    def play(self, env: Any, decider: Any, log_path: Path) -> None:
        """Makes a run, without a bar where it has many rounds."""

    def _check_names(self) -> None:
        """Raises a UserError for a variation or a protocol that is unknown."""
        check_known("variation", self.variation, VARIATIONS)
        check_known("protocol", self.protocol, PROTOCOLS)

    def usual_config(self) -> tuple[Config, Path]:
        """The configuration of data, model and protocol, and the file that it came from."""
        return load_config(self.dataset_name, self.variation, PROTOCOLS[self.protocol])

    def make_dataset(self, run_id: int = 1) -> Dataset:
        """The data of a run: its split and its seed set."""
        make, seeds = self.dataset_class, self.seeds(run_id)
        return make(self.data_folder, seeds, skip_data_check=self.skip_data_check)

    def run(
        self,
        run_ids: Sequence[int] = (1,),
        runs_folder: str | Path = "runs",
        *,
        device: torch.device | str = "cpu",
        side_by_side: SideBySide = "auto",
        overwrite: bool = False,
        play: Play | None = None,
        **record: bool,
    ) -> list[int]:
        """Makes runs; finished ones are left out, unfinished ones go on.

        Args:
            run_ids: ids of the runs, ascending.
            runs_folder: where the results of all experiments go.
            device: where data and models live.
            side_by_side: runs that are trained as one stack.
            overwrite: make finished runs again.
            play: makes a run, instead of the experiment's own.
            record: what else a run is to write, as of `EnvironmentLogger`: `record_points=True`.

        Returns:
            The ids of those that are finished now, ascending.

        Raises:
            UserError: no id is given, or the folder cannot be written, or holds runs of other settings.
        """
        folder, device = self.folder(runs_folder), torch.device(device)
        if not run_ids:
            raise UserError("no run ids are given")
        if unknown := set(record) - set(EnvironmentLogger.RECORDS):
            raise TypeError(f"run() has no argument {', '.join(sorted(unknown))}")
        wanted = [EnvironmentLogger.RECORDS[name] for name, wanted in record.items() if wanted]
        check_writable(folder)
        # What cannot be made is said before a file is written.
        size = group_size(len(run_ids), side_by_side, self.environment(run_ids[0]).dataset, device)
        settings = self.settings()
        note_default_config(self.dataset_name, self.variation, str(settings["config"]))
        place = {"data_folder": self.data_folder, "device": device, "threads": torch.get_num_threads()}
        made_by = place | provenance()

        def start(run_id: int, log_path: Path) -> None:
            env = self.environment(run_id, device)
            decider = self.decider(env, run_id)
            env.logger_options = {
                "settings": {**settings, "run_id": run_id, **made_by},
                "resume": decider,
                **record,
            }
            (play or self.play)(env, decider, log_path)

        return run_all(
            folder,
            settings,
            run_ids,
            start,
            size=size,
            overwrite=overwrite,
            wanted=wanted,
        )

    def _definition(self) -> dict[str, object]:
        """The settings that say which data, and which version of the protocol."""
        return {
            **self.dataset_class.more_settings,
            "dataset_code": code_digest(self.dataset_class),
            "data": self.make_dataset().digest(),
            "protocol_version": PROTOCOLS[self.protocol].version,
        }


def name_of(dataset: str) -> str:
    """A registered name for an alias; a table is called as it is."""
    return dataset if is_own(dataset) else DATASETS.name(dataset)
