"""A sweep: which experiments it makes, what is left of them, and how that is packed into groups.

    datasets: [pakinsons, sarcos]
    agents: [random, balsa_emd]
    query_sizes: [1, 50]
    run_ids: 1-30

Nothing here needs Ray.
"""

import heapq
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from ..agent import AGENTS
from ..data.own import find_dataset, is_own
from ..dataset import DATASETS
from ..errors import UserError, check_known
from ..experiment import Experiment
from ..models.variations import VARIATIONS
from ..runs.files import is_finished
from ..runs.group import MOST

__all__ = [
    "Group",
    "consecutive",
    "experiments",
    "makespan",
    "pack",
    "run_ids",
    "runs",
    "to_do",
]

#: Seconds that a task takes before its first run: a process, its imports.
STARTING = 5.0
_MOST_IDS = 100_000
#: More, and smaller, groups must end a sweep so much earlier: they cost more core time.
_EARLIER = 0.95


class Group(NamedTuple):
    """Consecutive runs of an experiment, side by side, and the CPU seconds they are estimated to take."""

    experiment: Experiment
    run_ids: range
    seconds: float

    def __str__(self) -> str:
        return f"{self.experiment}, {runs(self.run_ids)}"


def runs(run_ids: Sequence[int]) -> str:
    """`run_3`, or `run_1 to run_25`."""
    return f"run_{run_ids[0]}" + f" to run_{run_ids[-1]}" * (len(run_ids) > 1)


def run_ids(texts: Iterable[str]) -> list[int]:
    """The ids that texts such as `1-30` and `7` name, ascending.

    Raises:
        UserError: a text names none.
    """
    found: set[int] = set()
    for text in texts:
        match = re.fullmatch(r"(\d{1,12})(?:-(\d{1,12}))?", text, re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            raise UserError(f"run_ids: a number or a range like 1-30 is wanted, got '{text}'")
        if last - first >= _MOST_IDS:
            raise UserError(f"run_ids: at most {_MOST_IDS:,} are wanted, got '{text}'")
        found.update(range(first, last + 1))
    return sorted(found)


def experiments(
    datasets: Iterable[str],
    agents: Iterable[str],
    variations: Iterable[str],
    protocols: Iterable[str],
    query_sizes: Iterable[int],
    **common: Any,
) -> tuple[list[Experiment], list[str]]:
    """All combinations that can be run, and a note for each kind of those that cannot.

    Args:
        common: what else the experiments have in common: other fields of `Experiment`; `target` and
            `seed_set` those of tables alone.

    Raises:
        UserError: an unknown name, or a table that cannot be used.
    """
    named = [name if is_own(name) else DATASETS.name(name) for name in datasets]
    of_tables = {name: common.pop(name, None) for name in ("target", "seed_set")}
    more: dict[str, dict[str, Any]] = {name: of_tables if is_own(name) else {} for name in named}
    if any(value is not None for value in of_tables.values()) and not any(more.values()):
        raise UserError(
            f"target and seed_set are for tables; of these there is none among {', '.join(named)}"
        )
    for name in named:
        find_dataset(name, **more[name], data_folder=common.get("data_folder", "../datasets"))
    for variation in variations:
        check_known("variation", variation, VARIATIONS)
    found, notes = [], []
    agents = [AGENTS.name(name) for name in agents]
    for names in product(named, agents, variations, protocols, query_sizes):
        try:
            found.append(Experiment(*names, **{**more[names[0]], **common}))
        except UserError as error:
            notes.append(f"left out: {error}")
    return list(dict.fromkeys(found)), list(dict.fromkeys(notes))


def to_do(experiment: Experiment, ids: Iterable[int], runs_folder: Path) -> list[int]:
    """The runs that are not finished."""
    folder = experiment.folder(runs_folder)
    return [run_id for run_id in ids if not is_finished(folder / f"run_{run_id}")]


def consecutive(ids: Sequence[int]) -> Iterator[range]:
    """Ascending ids as the fewest ranges."""
    first = 0
    for i in range(1, len(ids) + 1):
        if i == len(ids) or ids[i] != ids[i - 1] + 1:
            yield range(ids[first], ids[i - 1] + 1)
            first = i


def _parts(ids: range, parts: int) -> Iterator[range]:
    """A range in so many parts, as even as can be, the larger ones first."""
    size, more = divmod(len(ids), parts)
    for i in range(parts):
        first = i * size + min(i, more)
        yield ids[first : first + size + (i < more)]


def makespan(seconds: Iterable[float], slots: int) -> float:
    """When the last of these tasks ends, each begun, in this order, as soon as one of the slots is free."""
    ends = [0.0] * slots
    for one in seconds:
        heapq.heapreplace(ends, ends[0] + one)
    return max(ends)


def pack(
    left: Sequence[tuple[Experiment, Sequence[int]]],
    cost: Callable[[Experiment, int], float],
    most: int | None,
    slots: int,
) -> list[Group]:
    """Groups of consecutive runs, the costliest first.

    Args:
        left: experiments and their runs to do, ascending.
        cost: CPU seconds of an experiment's run of so many side by side.
        most: runs of a group at the most; None: 25, and fewer where that keeps the slots
            busier and so ends the sweep clearly earlier.
        slots: groups that can run at one time.
    """

    def seconds(experiment: Experiment, size: int) -> float:
        return STARTING + size * cost(experiment, size)

    def packed(limit: float) -> list[Group]:
        """The fewest even groups within `most` runs and, where one run is, within `limit` seconds."""
        groups = []
        for experiment, ids in left:
            for together in consecutive(ids):
                n = len(together)
                for count in range(math.ceil(n / (most or MOST)), n + 1):
                    size = math.ceil(n / count)
                    if seconds(experiment, size) <= limit or size == 1:
                        break
                for part in _parts(together, count):
                    groups.append(Group(experiment, part, seconds(experiment, len(part))))
        return sorted(groups, key=lambda group: -group.seconds)

    best = packed(math.inf)
    if most is not None or not best:
        return best
    largest = best[0].seconds
    ends = makespan((group.seconds for group in best), slots)
    for divisor in range(2, MOST + 1):
        groups = packed(largest / divisor)
        if (earlier := makespan((group.seconds for group in groups), slots)) < _EARLIER * ends:
            best, ends = groups, earlier
    return best
