"""A sweep: which experiments it makes, and how their runs are packed into groups. Nothing here needs Ray."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..agent import AGENTS
from ..batches import QuerySize
from ..data.own import is_own
from ..dataset import DATASETS
from ..errors import UserError, check_known
from ..experiment import Experiment
from ..models.variations import VARIATIONS
from ..options import DECISIONS
from ..runs.group import MOST, MOST_ON_GPU, SideBySide
from .cost import seconds

#: Seconds that a task takes before its first run: a process, its imports.
STARTING = 5.0


class Group(NamedTuple):
    """Runs of an experiment, side by side in one task; `seconds` of CPU time are estimated."""

    experiment: Experiment
    run_ids: tuple[int, ...]
    seconds: float

    def __str__(self) -> str:
        last = f" to run_{self.run_ids[-1]}" * (len(self.run_ids) > 1)
        return f"{self.experiment}, run_{self.run_ids[0]}{last}"

    def log(self, runs_folder: Path) -> Path:
        """The file that holds what its task prints."""
        folder = self.experiment.folder(runs_folder)
        return folder / f"sweep_{self.run_ids[0]}-{self.run_ids[-1]}.log"


def parse_ids(texts: Iterable[str]) -> list[int]:
    """The ids in texts such as `1-30` and `7`, ascending; a UserError if a text is neither."""
    found: set[int] = set()
    for text in texts:
        match = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", text, re.ASCII)
        ids = range(int(match[1]), int(match[2] or match[1]) + 1) if match else ()
        if not ids:
            raise UserError(f"run_ids: expected a number or a range like 1-30, got '{text}'")
        found.update(ids)
    return sorted(found)


def find_experiments(
    datasets: Iterable[str],
    agents: Iterable[str],
    variations: Iterable[str],
    protocols: Iterable[str],
    query_sizes: Iterable[QuerySize],
    **common: Any,
) -> tuple[list[Experiment], list[str]]:
    """All combinations that can be run, and a note for each kind of those that cannot.

    `common` are other fields that the experiments have in common, those of a table only the tables among the
    datasets. An unknown name, or a table that cannot be used, is a UserError.
    """
    datasets = [_absolute(name) if is_own(name) else DATASETS.name(name) for name in datasets]
    agents = [AGENTS.name(name) for name in agents]
    for variation in variations:
        check_known("variation", variation, VARIATIONS)
    of_tables = {name: common.pop(name) for name in ("target", "seed_set", *DECISIONS) if name in common}
    found, notes = [], []
    for dataset in datasets:
        # Options of a table are refused where there is none.
        others = common if any(map(is_own, datasets)) and not is_own(dataset) else common | of_tables
        Experiment(dataset, "full_data", **others)  # raises what is wrong with the dataset alone
        for names in product(agents, variations, protocols, query_sizes):
            try:
                found.append(Experiment(dataset, *names, **others))
            except UserError as error:
                notes.append(f"left out: {error}")
    return list(dict.fromkeys(found)), list(dict.fromkeys(notes))


def _absolute(table: str) -> str:
    """A table's absolute path, because a task works in another folder."""
    return table if table.startswith("openml:") else str(Path(table).absolute())


def pack(
    left: Mapping[Experiment, Sequence[int]], side_by_side: SideBySide, on_gpu: bool, slots: int
) -> list[Group]:
    """Even groups, the costliest first.

    Args:
        left: experiments and their runs to do, ascending.
        side_by_side: most runs of a group; auto: 100 on a GPU, else 25, and fewer if a group would take
            longer than a slot's share of the sweep.
        slots: groups that can run at one time.
    """
    most = (MOST_ON_GPU if on_gpu else MOST) if side_by_side == "auto" else side_by_side
    left = {experiment: ids for experiment, ids in left.items() if ids}
    whole = {one: len(ids) * seconds(one, min(len(ids), most)) for one, ids in left.items()}
    share = sum(whole.values()) / slots if side_by_side == "auto" and not on_gpu else math.inf
    groups = []
    for experiment, ids in left.items():
        parts = max(math.ceil(len(ids) / most), math.ceil(whole[experiment] / share - 1e-9))
        for part in np.array_split(ids, min(parts, len(ids))):
            estimated = STARTING + len(part) * seconds(experiment, len(part))
            groups.append(Group(experiment, tuple(part.tolist()), estimated))
    return sorted(groups, key=lambda group: -group.seconds)
