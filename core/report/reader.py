"""All results, of runs folders and of a store, as tidy tables, and what is missing of them.

An experiment is one (dataset, variation, protocol, query size, agent); its runs are repetitions.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise, product, takewhile
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from ..agent import AGENTS
from ..metrics import PIT_BINS
from ..models.variations import VARIATIONS
from ..protocol import PROTOCOLS
from ..runs.files import (
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
from .labels import OWN
from .store import Stored, definition, differences, read_store, read_trained

__all__ = [
    "EXPERIMENT",
    "TASK",
    "Folders",
    "Results",
    "areas",
    "find_missing_runs",
    "levels_at",
    "load_results",
    "numbered",
    "spans",
    "told",
]

#: What all runs of different agents must share to be compared.
TASK = ["dataset", "variation", "protocol", "query_size"]
EXPERIMENT = [*TASK, "agent"]
_TEXTS = ("dataset", "variation", "protocol", "agent")


class _Tables(NamedTuple):
    curves: pd.DataFrame
    pit: pd.DataFrame
    runs: pd.DataFrame
    upper_bounds: pd.DataFrame
    problems: pd.DataFrame
    settings: dict[tuple[Any, ...], dict[str, Any]]
    trained: pd.DataFrame


class Results(_Tables):
    """All that lies in a runs folder (with `<folder>_gauss`, ... beside it) and in a store, as tidy tables.

    Attributes:
        curves: one row a measurement: the columns of `EXPERIMENT`, `run`, `labelled` (seed set and
            points added), `metric` (as in `core.metrics.METRICS`), `value`.
        pit: the PIT histogram after each run's last round, one row a bin: `EXPERIMENT`, `run`,
            `labelled`, `bin` (where it begins), `count`.
        runs: one row a run: `EXPERIMENT`, `run`, `status` (finished, unfinished or damaged), `rounds`,
            `seconds_choosing`, `seconds_in_step`, `stored` (it comes from the store).
        upper_bounds: one row an epoch: `dataset`, `variation`, `protocol`, `run`, `epoch`, `metric`,
            `value`.
        problems: one row a folder that is damaged or does not fit: `folder`, `problem`.
        settings: of each experiment, by the values of `EXPERIMENT`, what its runs have in common.
        trained: MAE of `random`'s flow and of other models on the same labels, a row a run and number of
            `labels`; of the store.
    """

    @cached_property
    def areas(self) -> pd.DataFrame:
        """The areas under all curves, as of `areas`."""
        return areas(self.curves)


def areas(curves: pd.DataFrame) -> pd.DataFrame:
    """The area under each run's learning curve: the mean of its rows (docs/METHOD.md, section 4).

    Returns:
        One row a run and metric: `EXPERIMENT`, `run`, `metric`, `area`; lower is better.
    """
    by = [*EXPERIMENT, "run", "metric"]
    number, levels = numbered(curves, by)
    means = curves["value"].groupby(number).mean()
    columns = dict(zip(by, levels_at(levels, means.index.to_numpy()), strict=True))
    return pd.DataFrame(columns | {"area": means.to_numpy()})


def numbered(table: pd.DataFrame, names: Sequence[str]) -> tuple[np.ndarray, list[Any]]:
    """One number a row, the same where the columns of these names are, in their order; each column's values.

    pandas' own groups of millions of rows by several columns take a gigabyte.
    """
    number, levels = np.zeros(len(table), np.int64), []
    for name in names:
        codes, values = pd.factorize(table[name], sort=True)
        number *= max(len(values), 1)
        number += codes
        levels.append(values)
    return number, levels


def levels_at(levels: Sequence[Any], numbers: np.ndarray) -> list[Any]:
    """The values of each column that belong to numbers as of `numbered`."""
    places = np.unravel_index(numbers, [max(len(values), 1) for values in levels])
    return [values.take(at) for values, at in zip(levels, places, strict=True)]


def load_results(runs_folder: str | Path | None = "runs", store: str | Path | None = None) -> Results:
    """Reads all runs in a folder, in those beside it (`runs_gauss`, `runs_corrected`, ...), and in a store.

    Either may be None.

    A metric whose file a run lacks, as one older than the metric does, is missing there and nowhere else.

    Runs that are unfinished or damaged are listed in `Results.runs` and left out elsewhere. So are
    those of another budget or seed set than most runs of their task, which count as damaged.

    Runs of an agent that the store has for the same task are more runs of it if their settings agree,
    whatever machine or commit made them; of runs that both have the stored ones count. If the settings
    differ, the folder's agent is called `<agent> (own)`.

    Raises:
        UserError: the store cannot be used.
    """
    store = None if store is None else Path(store)
    reader = Folders(runs_folder, {} if store is None else read_store(store))
    of_run = [*EXPERIMENT, "run", "labelled"]
    numbers = ["rounds", "seconds_choosing", "seconds_in_step"]
    runs = [(*run, *values, run not in reader.folders) for run, values in reader.runs.items()]
    return Results(
        _tidy(reader.curves, of_run, "metric", "value"),
        _tidy(reader.pit, of_run, "bin", "count"),
        pd.DataFrame(runs, columns=[*EXPERIMENT, "run", "status", *numbers, "stored"]),
        _tidy(reader.upper_bounds, [*TASK[:3], "run", "epoch"], "metric", "value"),
        pd.DataFrame(reader.problems, columns=["folder", "problem"]),
        reader.settings,
        read_trained(store),
    )


#: Names a run: the values of `EXPERIMENT` and its id; of an upper bound, those of its task and its id.
_Key: TypeAlias = tuple[Any, ...]
_NO_NUMBERS = (np.nan, np.nan, np.nan)


class Folders:
    """What lies in a runs folder and those beside it; what cannot be read becomes a problem, not an error.

    Args:
        stored: the experiments of a store, beside which the folder's are put.

    Attributes:
        curves, pit: of each finished run its table, by labelled points.
        upper_bounds: of each finished run of an upper bound its table, by epochs.
        runs: status and numbers of each run.
        folders: where it lies, if not in the store.
        problems: folder and problem of what is left out.
        unlike: of them those of folders that were made with other settings than another of their experiment.
        settings: of each experiment.
    """

    def __init__(self, runs_folder: str | Path | None, stored: Mapping[_Key, Stored] | None = None) -> None:
        self.curves: dict[_Key, pd.DataFrame] = {}
        self.pit: dict[_Key, pd.DataFrame] = {}
        self.upper_bounds: dict[_Key, pd.DataFrame] = {}
        self.runs: dict[_Key, tuple[Any, ...]] = {}
        self.folders: dict[_Key, Path] = {}
        self.problems: list[tuple[str, str]] = []
        self.settings: dict[_Key, dict[str, Any]] = {}
        self.unlike: list[str] = []
        self._stored = stored or {}
        for keys, experiment in self._stored.items():
            self._take_stored(keys, experiment)
        roots = (
            []
            if runs_folder is None
            else [runs_root(Path(runs_folder), *names) for names in product(VARIATIONS, PROTOCOLS)]
        )
        for root in roots:
            # Of two folders of one experiment that with finished runs counts, if their settings differ.
            folders = sorted(root.glob("*/*/*"))
            for folder in sorted(folders, key=lambda folder: not any(map(is_finished, run_folders(folder)))):
                self._read_experiment(folder)
            for folder in sorted(root.glob("*/UpperBound")):
                self._read_upper_bound(folder)
        self._drop_other_lengths()

    def _take_stored(self, keys: _Key, experiment: Stored) -> None:
        self.settings[keys] = experiment.settings
        for run_id, curves in experiment.curves.items():
            run, notes = (*keys, run_id), experiment.notes[run_id]
            seconds = (float(notes[name]) for name in ("seconds_choosing", "seconds_in_step"))
            self.curves[run] = curves
            self.runs[run] = ("finished", len(curves) - 1, *seconds)
            if "pit" in notes:
                bins = [k / PIT_BINS for k in range(PIT_BINS)]
                self.pit[run] = pd.DataFrame([notes["pit"]], curves.index[[-1]], bins)

    def _problem(self, folder: Path, problem: object) -> None:
        self.problems.append((str(folder), " ".join(str(problem).split())))

    def _read_experiment(self, experiment: Path) -> None:
        """All runs of an experiment, if it is one."""
        keys, settings = self._keys(experiment, EXPERIMENT)
        if keys in self._stored and differences(settings, self.settings[keys]):
            keys = (*keys[:-1], keys[-1] + OWN)
        folders = run_folders(experiment) if keys else []
        if folders and (differing := differences(settings, self.settings.setdefault(keys, settings))):
            name, (mine, theirs) = next(iter(differing.items()))
            said = f"made with {name} {mine}, another folder of this experiment with {theirs}"
            self._problem(experiment, said)
            self.unlike.append(f"{experiment} was {said}")
            for folder in folders:
                if (run := (*keys, id_of(folder))) not in self.runs:
                    self.folders[run], self.runs[run] = folder, ("damaged", *_NO_NUMBERS)
            return
        for folder in folders:
            run = (*keys, id_of(folder))
            if run in self.runs:
                if run in self.folders:
                    self._problem(folder, f"the same run as {self.folders[run]}")
                continue
            self.folders[run] = folder
            self.runs[run] = ("unfinished", *_NO_NUMBERS)
            if is_finished(folder):
                try:
                    self.runs[run] = ("finished", *self._read_run(folder, run))
                except (OSError, ValueError) as error:  # UserErrors are ValueErrors
                    self._damaged(run, error)

    def _read_upper_bound(self, experiment: Path) -> None:
        """All finished runs of an upper bound."""
        keys, _ = self._keys(experiment, TASK[:3])
        for folder in finished_runs(experiment) if keys else []:
            run = (*keys, id_of(folder))
            try:
                self.upper_bounds[run] = read_metrics(folder)
            except (OSError, ValueError) as error:
                self._problem(folder, error)

    def _drop_other_lengths(self) -> None:
        """Leaves out runs that do not begin and end where the stored ones, or most runs of their task do."""
        ends = {run: (table.index[0], table.index[-1]) for run, table in self.curves.items()}
        of_task: dict[_Key, Counter[tuple[int, int]]] = {}
        for run, span in ends.items():
            of_task.setdefault(run[: len(TASK)], Counter())[span] += 1 if run in self.folders else len(ends)
        for run, span in ends.items():
            (usual, _), *_ = of_task[run[: len(TASK)]].most_common(1)
            if span != usual:
                self._damaged(run, f"{span[0]} to {span[1]} labelled points, not {usual[0]} to {usual[1]}")
                del self.curves[run]
                self.pit.pop(run, None)

    def _damaged(self, run: _Key, problem: object) -> None:
        self.runs[run] = ("damaged", *_NO_NUMBERS)
        self._problem(self.folders[run], problem)

    def _keys(self, experiment: Path, names: Sequence[str]) -> tuple[_Key, dict[str, Any]]:
        """What the settings of an experiment say, and all of them; nothing if there are none."""
        metas = [run / META for run in finished_runs(experiment)]
        for path in filter(Path.is_file, (experiment / "settings.txt", *metas)):
            try:
                # Behind the settings a run's own notes follow, its id first.
                settings = dict(takewhile(lambda line: line[0] != "run_id", read_meta(path).items()))
                keys = [
                    str(settings[name]).encode("utf-8", "replace").decode()
                    for name in names
                    if name in settings
                ]
                if len(keys) == len(names):
                    values = (int(v) if k == "query_size" else v for k, v in zip(names, keys, strict=True))
                    return tuple(values), definition(settings)
                self._problem(
                    path, "it does not say " + ", ".join(name for name in names if name not in settings)
                )
            except (OSError, ValueError) as error:
                self._problem(path, error)
        return (), {}

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
    parts = list(dict.fromkeys(part for one in tables.values() for part in one))
    order = [(part, run) for part in parts for run, one in tables.items() if part in one]
    lengths = [len(tables[run]) for _, run in order]
    columns = {}
    for i, name in enumerate(names[:-1]):
        of_part = pd.Series([run[i] for _, run in order])
        columns[name] = (of_part.astype("category") if name in _TEXTS else of_part).repeat(lengths).array
    columns[names[-1]] = np.concatenate([tables[run].index for _, run in order])
    of_part = pd.Series([part for part, _ in order], dtype="category" if column == "metric" else "float64")
    columns[column] = of_part.repeat(lengths).array
    arrays = {run: one.to_numpy() for run, one in tables.items()}
    values = np.concatenate([arrays[run][:, tables[run].columns.get_loc(part)] for part, run in order])
    columns[value] = values.astype("float64" if column == "metric" else "int64", copy=False)
    return pd.DataFrame(columns, copy=False)


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
    """What is not there: in every task that was begun, the agents and run ids that were begun anywhere.

    Where a part of the task is named, in all combinations of what is named and, else, was begun.

    Begun is what lies in the folder: of a stored experiment no run is missed. Nor is an agent that cannot
    score the variation's model.

    Returns:
        One row an experiment that lacks runs: `EXPERIMENT`, `missing`, `unfinished`, `damaged`, run
        ids such as `2, 5-30`.
    """
    runs, status = found.runs, found.runs.set_index([*EXPERIMENT, "run"])["status"].to_dict()
    of_store = runs["stored"].astype(bool)
    stored = set(runs.loc[of_store, EXPERIMENT].itertuples(index=False, name=None))
    runs = runs[~of_store]
    names = (datasets, variations, protocols, query_sizes)
    if any(given is not None for given in names):
        axes = [
            list(dict.fromkeys(runs[key])) if given is None else list(given)
            for key, given in zip(TASK, names, strict=True)
        ]
        tasks = list(product(*axes))
    else:
        tasks = list(dict.fromkeys(runs[TASK].itertuples(index=False, name=None)))
    wanted_agents = dict.fromkeys(runs["agent"] if agents is None else agents)
    wanted = set(runs["run"] if run_ids is None else run_ids)
    begun = set(runs[EXPERIMENT].itertuples(index=False, name=None))
    lines = []
    for keys in ((*task, agent) for task in tasks for agent in wanted_agents):
        _, variation, _, _, agent = keys
        if agent.endswith(OWN) and keys not in begun:  # elsewhere it has its own name, or need not be run
            continue
        cls = AGENTS.classes.get(agent.removesuffix(OWN).partition("+")[0])
        if cls and variation not in cls.variations:
            continue
        of = {run: status.get((*keys, run), "missing") for run in wanted}
        lacking = [
            spans([run for run in of if of[run] == name and (name != "missing" or keys not in stored)])
            for name in ("missing", "unfinished", "damaged")
        ]
        if any(lacking):
            lines.append((*keys, *lacking))
    return pd.DataFrame(lines, columns=[*EXPERIMENT, "missing", "unfinished", "damaged"])


def told(problems: Iterable[Sequence[str]]) -> str:
    """The first of `Folders.problems` in words, and how many more there are."""
    (folder, problem), *more = problems
    return f"{folder}: {problem}" + (f" (and {len(more)} more)" if more else "")


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
