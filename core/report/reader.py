"""All results in the runs folders as tidy tables, and what is missing of them.

An experiment is one (dataset, variation, protocol, query size, agent); its runs are repetitions.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise, product
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from ..agent import AGENTS
from ..models.variations import VARIATIONS
from ..protocol import PROTOCOLS
from ..runs.layout import (
    META,
    finished_runs,
    id_of,
    is_finished,
    read_metrics,
    read_pit,
    run_folders,
    runs_root,
)
from ..runs.settings import read_meta

__all__ = ["EXPERIMENT", "TASK", "Results", "find_missing_runs", "load_results", "spans"]

#: What all runs of different agents must share to be compared.
TASK = ["dataset", "variation", "protocol", "query_size"]
EXPERIMENT = [*TASK, "agent"]


class Results(NamedTuple):
    """All that lies in a runs folder and its sisters, as tidy tables.

    Attributes:
        curves: one row a measurement: the columns of `EXPERIMENT`, `run`, `labelled` (seed set and
            points added), `metric` (as in `core.metrics.METRICS`), `value`.
        pit: the PIT histogram after each run's last round, one row a bin: `EXPERIMENT`, `run`,
            `labelled`, `bin` (where it begins), `count`.
        runs: one row a run: `EXPERIMENT`, `run`, `status` (finished, unfinished or damaged), `rounds`,
            `seconds_choosing`, `seconds_in_step`.
        upper_bounds: one row an epoch: `dataset`, `variation`, `protocol`, `run`, `epoch`, `metric`,
            `value`.
        problems: one row a folder that is damaged or does not fit: `folder`, `problem`.
    """

    curves: pd.DataFrame
    pit: pd.DataFrame
    runs: pd.DataFrame
    upper_bounds: pd.DataFrame
    problems: pd.DataFrame


def load_results(runs_folder: str | Path = "runs") -> Results:
    """Reads all runs in a folder and its sisters (`runs_gauss`, `runs_corrected`, ...).

    A metric whose file a run lacks, as one older than the metric does, is missing there and nowhere else.

    Runs that are unfinished or damaged are listed in `Results.runs` and left out elsewhere. So are
    those of another budget or seed set than most runs of their task, which count as damaged.
    """
    reader = _Reader()
    for variation, protocol in product(VARIATIONS, PROTOCOLS):
        root = runs_root(Path(runs_folder), variation, protocol)
        for experiment in sorted(root.glob("*/*/*")):
            reader.read_experiment(experiment)
        for experiment in sorted(root.glob("*/UpperBound")):
            reader.read_upper_bound(experiment)
    reader.drop_other_lengths()
    of_run = [*EXPERIMENT, "run", "labelled"]
    runs = [(*run, *values) for run, values in reader.runs.items()]
    numbers = ["rounds", "seconds_choosing", "seconds_in_step"]
    return Results(
        _tidy(reader.curves, of_run, "metric", "value"),
        _tidy(reader.pit, of_run, "bin", "count"),
        pd.DataFrame(runs, columns=[*EXPERIMENT, "run", "status", *numbers]),
        _tidy(reader.upper_bounds, [*TASK[:3], "run", "epoch"], "metric", "value"),
        pd.DataFrame(reader.problems, columns=["folder", "problem"]),
    )


#: Names a run: the values of `EXPERIMENT` and its id; of an upper bound, those of its task and its id.
_Key: TypeAlias = tuple[Any, ...]
_NO_NUMBERS = (np.nan, np.nan, np.nan)


class _Reader:
    """Collects what lies in folders; what cannot be read becomes a problem, not an error."""

    def __init__(self) -> None:
        self.curves: dict[_Key, pd.DataFrame] = {}
        self.pit: dict[_Key, pd.DataFrame] = {}
        self.upper_bounds: dict[_Key, pd.DataFrame] = {}
        self.runs: dict[_Key, tuple[Any, ...]] = {}
        self.folders: dict[_Key, Path] = {}
        self.problems: list[tuple[str, str]] = []

    def _problem(self, folder: Path, problem: object) -> None:
        self.problems.append((str(folder), " ".join(str(problem).split())))

    def read_experiment(self, experiment: Path) -> None:
        """All runs of an experiment, if it is one."""
        keys = self._keys(experiment, EXPERIMENT)
        for folder in run_folders(experiment) if keys else []:
            run = (*keys, id_of(folder))
            if run in self.runs:
                self._problem(folder, f"the same run as {self.folders[run]}")
                continue
            self.folders[run] = folder
            self.runs[run] = ("unfinished", *_NO_NUMBERS)
            if is_finished(folder):
                try:
                    self.runs[run] = ("finished", *self._read_run(folder, run))
                except (OSError, ValueError) as error:  # UserErrors are ValueErrors
                    self._damaged(run, error)

    def read_upper_bound(self, experiment: Path) -> None:
        """All finished runs of an upper bound."""
        keys = self._keys(experiment, TASK[:3])
        for folder in finished_runs(experiment) if keys else []:
            run = (*keys, id_of(folder))
            try:
                self.upper_bounds[run] = read_metrics(folder)
            except (OSError, ValueError) as error:
                self._problem(folder, error)

    def drop_other_lengths(self) -> None:
        """Leaves out runs that do not begin and end where most runs of their task do."""
        ends = {run: (table.index[0], table.index[-1]) for run, table in self.curves.items()}
        of_task: dict[_Key, Counter[tuple[int, int]]] = {}
        for run, span in ends.items():
            of_task.setdefault(run[: len(TASK)], Counter())[span] += 1
        for run, span in ends.items():
            (usual, _), *_ = of_task[run[: len(TASK)]].most_common(1)
            if span != usual:
                self._damaged(run, f"{span[0]} to {span[1]} labelled points, not {usual[0]} to {usual[1]}")
                del self.curves[run], self.pit[run]

    def _damaged(self, run: _Key, problem: object) -> None:
        self.runs[run] = ("damaged", *_NO_NUMBERS)
        self._problem(self.folders[run], problem)

    def _keys(self, experiment: Path, names: Sequence[str]) -> _Key:
        """What the settings of an experiment say; nothing if it has none, or they are damaged."""
        metas = [run / META for run in finished_runs(experiment)]
        for path in filter(Path.is_file, (experiment / "settings.txt", *metas)):
            try:
                settings = read_meta(path)
                keys = [
                    str(settings[name]).encode("utf-8", "replace").decode()
                    for name in names
                    if name in settings
                ]
                if len(keys) == len(names):
                    return tuple(int(v) if k == "query_size" else v for k, v in zip(names, keys, strict=True))
                self._problem(
                    path, "it does not say " + ", ".join(name for name in names if name not in settings)
                )
            except (OSError, ValueError) as error:
                self._problem(path, error)
        return ()

    def _read_run(self, folder: Path, run: _Key) -> tuple[float, ...]:
        """Adds the tables of a finished run; its rounds and seconds."""
        meta = read_meta(folder / META)
        names = ("seed_set", "seconds_choosing", "seconds_in_step")
        if lacking := [name for name in names if name not in meta]:
            raise ValueError(f"meta.txt does not say {', '.join(lacking)}")
        seed_set, choosing, in_step = (float(meta[name]) for name in names)
        measured = read_metrics(folder)
        pit = read_pit(folder).iloc[[-1]]
        self.curves[run] = measured.set_index(measured.index + int(seed_set))
        self.pit[run] = pit.set_index(pit.index + int(seed_set))
        return len(measured) - 1, choosing, in_step


def _tidy(
    tables: dict[tuple[Any, ...], pd.DataFrame], names: list[str], column: str, value: str
) -> pd.DataFrame:
    """One table of many, their columns below each other; texts as categories, or it would not fit."""
    if not tables:
        return pd.DataFrame(columns=[*names, column, value])
    table = pd.concat(tables, names=names).reset_index()
    texts = table.columns.intersection(["dataset", "variation", "protocol", "agent"])
    table = table.astype(dict.fromkeys(texts, "category"))
    table = table.melt(names, var_name=column, value_name=value).dropna()
    return table.astype({column: "category"} if column == "metric" else {column: "float64", value: "int64"})


def find_missing_runs(
    found: Results,
    run_ids: Iterable[int] | None = None,
    *,
    datasets: Sequence[str] | None = None,
    variations: Sequence[str] | None = None,
    protocols: Sequence[str] | None = None,
    query_sizes: Sequence[int] | None = None,
    agents: Sequence[str] | None = None,
) -> pd.DataFrame:
    """What is not there of all combinations; of what is not named, all that was begun anywhere is wanted.

    An agent is not missed where it cannot score the variation's model.

    Returns:
        One row an experiment that lacks runs: `EXPERIMENT`, `missing`, `unfinished`, `damaged`, run
        ids such as `2, 5-30`.
    """
    runs = found.runs
    names = (datasets, variations, protocols, query_sizes, agents)
    axes = [
        list(dict.fromkeys(runs[key])) if given is None else list(given)
        for key, given in zip(EXPERIMENT, names, strict=True)
    ]
    wanted = set(runs["run"] if run_ids is None else run_ids)
    of_run = runs[[*EXPERIMENT, "run"]].itertuples(index=False, name=None)
    status = dict(zip(of_run, runs["status"], strict=True))
    lines = []
    for keys in pd.MultiIndex.from_product(axes):
        _, variation, _, _, agent = keys
        if agent in AGENTS.classes and variation not in AGENTS[agent].variations:
            continue
        of = {run: status.get((*keys, run), "missing") for run in wanted}
        lacking = [
            spans([run for run in of if of[run] == name]) for name in ("missing", "unfinished", "damaged")
        ]
        if any(lacking):
            lines.append((*keys, *lacking))
    return pd.DataFrame(lines, columns=[*EXPERIMENT, "missing", "unfinished", "damaged"])


def spans(numbers: Iterable[int]) -> str:
    """Integers as a short text.

    Example:
        >>> spans([7, 3, 9, 8])
        '3, 7-9'
    """
    ordered = sorted(set(numbers))
    breaks = [0, *(i + 1 for i, (a, b) in enumerate(pairwise(ordered)) if b > a + 1), len(ordered)]
    parts = [ordered[first:end] for first, end in pairwise(breaks)]
    return ", ".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts if part)
