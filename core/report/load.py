"""All results, of runs folders and of a store, as tidy tables, and what is missing of them.

An experiment is one (dataset, variation, protocol, query size, agent); its runs are repetitions.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, product, takewhile
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from ..batches import query_size
from ..files import one_line
from ..metrics import PIT_BINS
from ..models.variations import VARIATIONS
from ..protocol import PROTOCOLS
from ..runs import files
from ..runs.settings import differences, read_meta
from .statistics import labels_needed, versus
from .store import EXPERIMENT, OF_AN_AGENT, SECONDS, TASK, Key, Runs, definition, read_store, read_trained

#: Ends the name of an agent of a runs folder where the store has one of that name with other settings.
OWN = " (own)"

_TEXTS = ("dataset", "variation", "protocol", "agent", "metric")
_NOTES_BEGIN = ("run_id", "data_check")
#: Values of `EXPERIMENT`, and the id of a run; of an upper bound those of dataset to protocol, and the id.
_Key: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True)
class Results:
    """The results in a runs folder (with `<folder>_gauss`, ... next to it) and a store, as tidy tables.

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
        trained: the store's MAE of `random`'s flow and of other models on the same labels, a row a run and
            number of `labels`.
    """

    curves: pd.DataFrame
    pit: pd.DataFrame
    runs: pd.DataFrame
    upper_bounds: pd.DataFrame
    problems: pd.DataFrame
    settings: dict[_Key, dict[str, Any]]
    trained: pd.DataFrame

    @cached_property
    def areas(self) -> pd.DataFrame:
        """The area under each run's learning curve, the mean of its rows (docs/METHOD.md, section 4): one row
        a run and metric: `EXPERIMENT`, `run`, `metric`, `area`.
        """
        by = [*EXPERIMENT, "run", "metric"]
        return self.curves.groupby(by, observed=True)["value"].mean().rename("area").reset_index()

    @cached_property
    def differences(self) -> pd.DataFrame:
        """How far agents are from `random` in each task by each metric."""
        return versus(self.areas, TASK)

    @cached_property
    def needed(self) -> pd.DataFrame:
        """With how many labels agents are as good as `random` is with all, in each task by each metric."""
        return labels_needed(self.curves[self.curves["metric"] != "validation_nll"], TASK)

    @property
    def stored(self) -> pd.DataFrame:
        """The rows of `runs` that come from the store."""
        return self.runs[self.runs["stored"]]

    @property
    def own(self) -> pd.DataFrame:
        """The rows of `runs` that come from the runs folder."""
        return self.runs[~self.runs["stored"]]

    @property
    def problem_lines(self) -> list[str]:
        """What is damaged or does not fit, a line a folder."""
        return [f"{folder}: {problem}" for folder, problem in self.problems.itertuples(index=False)]

    @cached_property
    def own_experiments(self) -> dict[_Key, dict[str, tuple[Any, Any]]]:
        """Your own experiments with finished runs in the store's tasks; of each the settings that keep it
        from being compared with the stored ones: its own value and theirs.
        """
        stored = distinct(self.stored, EXPERIMENT)
        tasks = {key[:4]: key for key in reversed(stored)}
        return {
            key: differences(self.settings[key], self.settings[tasks[key[:4]]], OF_AN_AGENT)
            for key in distinct(select(self.own, {"status": "finished"}), EXPERIMENT)
            if key not in stored and key[:4] in tasks
        }

    @property
    def compared(self) -> pd.DataFrame:
        """Your own experiments that can be compared with the stored ones: the columns of `EXPERIMENT`."""
        keys = [key for key, differing in self.own_experiments.items() if not differing]
        return pd.DataFrame(keys, columns=EXPERIMENT)

    def own_agents(self, task: Mapping[str, object] | None = None) -> list[str]:
        """Your own agents that can be compared with stored ones: in one task of the store, or in any."""
        return [*select(self.compared, task or {})["agent"].unique()]


def distinct(table: pd.DataFrame, names: list[str]) -> dict[_Key, None]:
    """The different values of some columns, in the order of the rows."""
    return dict.fromkeys(table[names].itertuples(index=False, name=None))


def groups(table: pd.DataFrame, names: list[str]) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """The parts of a table that have the same values in some columns, behind these values by name."""
    for values, part in table.groupby(names, observed=True):
        yield dict(zip(names, values, strict=True)), part


def select(table: pd.DataFrame, wanted: Mapping[str, Any]) -> pd.DataFrame:
    """The rows that have these values in the columns of these names."""
    for name, value in wanted.items():
        table = table[table[name] == value]
    return table


def load_results(runs_folder: str | Path | None = "runs", store: str | Path | None = None) -> Results:
    """Reads all runs in a folder, in those next to it (`runs_gauss`, `runs_corrected`, ...), and in a store.

    Either may be None. A metric whose file a run lacks, as one older than the metric does, is missing for
    that run alone.

    Runs that are unfinished or damaged are listed in `Results.runs` and left out elsewhere. Those of another
    budget or seed set than most runs of their task count as damaged.

    Runs of an agent that the store has for the same task are more runs of it if their settings agree; where
    both have a run, the stored one counts. If they differ, the folder's agent is called `<agent> (own)`.

    Raises:
        UserError: the store cannot be used.
    """
    stored = {} if store is None else read_store(Path(store))
    found = Folders(runs_folder, stored)
    curves, pit, rows = {}, [], []
    runs = [((*key, run_id), "finished", True) for key, one in stored.items() for run_id in one.curves]
    runs += [(run, status, False) for run, status in found.status.items()]
    for run, status, is_stored in runs:
        if status != "finished":
            rows.append((*run, status, *[np.nan] * 3, is_stored))
            continue
        experiment = (stored if is_stored else found.experiments)[run[:-1]]
        curves[run], notes = experiment.curves[run[-1]], experiment.notes[run[-1]]
        seconds = (float(notes[name]) for name in SECONDS)
        rows.append((*run, status, len(curves[run]) - 1, *seconds, is_stored))
        if "pit" in notes:  # older stored runs have none
            pit.append((*run, curves[run].index[-1], *notes["pit"]))
    names = [*EXPERIMENT, "run"]
    bins = [k / PIT_BINS for k in range(PIT_BINS)]
    table = pd.DataFrame(rows, columns=[*names, "status", "rounds", *SECONDS, "stored"])
    histograms = pd.DataFrame(pit, columns=[*names, "labelled", *bins])
    return Results(
        _tidy(curves, [*names, "labelled"], "metric", "value"),
        _long(histograms, [*names, "labelled"], "bin", "count").astype({"count": "int64"}),
        table.astype({"stored": bool}),
        _tidy(found.upper_bounds, [*TASK[:3], "run", "epoch"], "metric", "value"),
        pd.DataFrame(found.problems, columns=["folder", "problem"]),
        {key: one.settings for key, one in (found.experiments | stored).items()},
        pd.DataFrame() if store is None else read_trained(Path(store)),
    )


def _tidy(tables: Mapping[_Key, pd.DataFrame], names: list[str], column: str, value: str) -> pd.DataFrame:
    """One table of many, their columns one below the other."""
    if not tables:
        return pd.DataFrame(columns=[*names, column, value])
    *keys, index = names
    rows = pd.DataFrame([*tables], columns=keys)
    rows = rows.loc[rows.index.repeat([*map(len, tables.values())])].reset_index(drop=True)
    values = pd.concat([*tables.values()]).rename_axis(index).reset_index()
    return _long(pd.concat([rows, values], axis=1), names, column, value)


def _long(wide: pd.DataFrame, names: list[str], column: str, value: str) -> pd.DataFrame:
    """The columns of a table but for those of these names, one below the other; texts as categories, to save
    memory.
    """
    wide = wide.astype({name: "category" for name in names if name in _TEXTS})
    long = wide.melt(names, var_name=column, value_name=value).dropna(subset=[value], ignore_index=True)
    return long.astype({column: "category" if column in _TEXTS else "float64"})


def sibling_roots(runs_folder: Path) -> list[Path]:
    """A runs folder and those of other variations and protocols next to it, whether they exist or not."""
    return [files.runs_root(runs_folder, *names) for names in product(VARIATIONS, PROTOCOLS)]


class Folders:
    """The content of a runs folder and those next to it; unreadable files become problems, not errors.

    Args:
        stored: the experiments of a store: runs that it has are not read.

    Attributes:
        experiments: the finished runs.
        status: of each run finished, unfinished or damaged.
        upper_bounds: of each finished run of an upper bound its table, by epochs.
        problems: folder and problem of what is left out.
    """

    def __init__(self, runs_folder: str | Path | None, stored: Mapping[Key, Runs] | None = None) -> None:
        self.experiments: dict[Key, Runs] = {}
        self.status: dict[_Key, str] = {}
        self.upper_bounds: dict[_Key, pd.DataFrame] = {}
        self.problems: list[tuple[str, str]] = []
        for root in [] if runs_folder is None else sibling_roots(Path(runs_folder)):
            # Of two folders of one experiment the one with finished runs counts.
            folders = sorted(root.glob("*/*/*"), key=lambda folder: (not files.finished_runs(folder), folder))
            for folder in folders:
                self._read_experiment(folder, stored or {})
            for folder in sorted(root.glob("*/UpperBound")):
                self._read_upper_bound(folder)
        self._drop_other_lengths(stored or {})

    def _problem(self, folder: Path, problem: object) -> None:
        self.problems.append((str(folder), " ".join(str(problem).split())))

    def _read_experiment(self, folder: Path, stored: Mapping[Key, Runs]) -> None:
        """All runs of an experiment that are not stored, if it is one."""
        key, settings = self._read_settings(folder, EXPERIMENT)
        if not key or not (folders := files.run_folders(folder)):
            return
        if key in stored and differences(settings, stored[key].settings):
            key = (*key[:-1], key[-1] + OWN)
        if key in self.experiments:
            self._problem(folder, f"it holds the same experiment as {self.experiments[key].folder}")
            return
        there = stored[key].curves if key in stored else {}
        self.experiments[key] = experiment = Runs(settings, folder)
        for run in folders:
            if (run_id := files.id_of(run)) in there:
                continue
            status = "unfinished"
            if files.is_finished(run):
                try:
                    self._read_run(run, run_id, experiment)
                    status = "finished"
                except (OSError, ValueError) as error:  # UserErrors are ValueErrors
                    status = "damaged"
                    self._problem(run, error)
            run_key: _Key = (*key, run_id)
            self.status[run_key] = status

    def _read_settings(self, experiment: Path, names: Sequence[str]) -> tuple[Any, dict[str, Any]]:
        """The settings of an experiment, behind those of these names; nothing if there are none."""
        metas = [run / files.META for run in files.finished_runs(experiment)]
        for path in filter(Path.is_file, (experiment / "settings.txt", *metas)):
            try:
                # A run's own notes follow the settings: its id first, or else what the logger adds.
                settings = dict(takewhile(lambda line: line[0] not in _NOTES_BEGIN, read_meta(path).items()))
                if lacking := [name for name in names if name not in settings]:
                    raise ValueError(f"it does not say {', '.join(lacking)}")
                read = {"query_size": query_size}
                return tuple(read.get(name, str)(settings[name]) for name in names), definition(settings)
            except (OSError, ValueError) as error:
                self._problem(path, error)
        return (), {}

    def _read_run(self, folder: Path, run_id: int, experiment: Runs) -> None:
        """Adds a finished run to its experiment."""
        meta = definition(read_meta(folder / files.META))
        if str(meta.get("run_id", run_id)) != str(run_id):
            raise ValueError(f"meta.txt is of run_{meta['run_id']}: the folder was copied or renamed")
        for name in ("seed_set", *SECONDS):
            if not isinstance(meta.get(name), int | float) or not 0 <= meta[name] < 1e15:
                raise ValueError(f"meta.txt: {name} is {one_line(meta.get(name), 60)}, not a number")
        # With another seed set its curves begin elsewhere.
        for name, (here, theirs) in differences(meta, experiment.settings, ["seed_set"]).items():
            raise ValueError(f"meta.txt: {name} is {here}, but {theirs} in the experiment's settings")
        agreed = {*experiment.settings, "seed_set"}
        curves, pit = files.read_metrics(folder), files.read_pit(folder)
        notes = {name: meta[name] for name in meta if name not in (*agreed, "run_id", "data_folder")}
        experiment.notes[run_id] = notes | {"pit": pit.iloc[-1].astype(int).tolist()}
        experiment.curves[run_id] = curves.set_index(curves.index + int(meta["seed_set"]))
        # In the order of meta.txt, in which the store writes them.
        experiment.settings = {name: meta[name] for name in meta if name in agreed} | experiment.settings

    def _read_upper_bound(self, experiment: Path) -> None:
        """All finished runs of an upper bound."""
        key, _ = self._read_settings(experiment, TASK[:3])
        for folder in files.finished_runs(experiment) if key else []:
            run = (*key, files.id_of(folder))
            try:
                self.upper_bounds[run] = files.read_metrics(folder)
            except (OSError, ValueError) as error:
                self._problem(folder, error)

    def _drop_other_lengths(self, stored: Mapping[Key, Runs]) -> None:
        """Leaves out runs that do not begin and end where the stored ones, or most runs of their task do."""
        ends: dict[_Key, Counter[tuple[int, int]]] = defaultdict(Counter)
        for experiments, weight in ((self.experiments, 1), (stored, 10**9)):
            for key, experiment in experiments.items():
                for curve in experiment.curves.values():
                    ends[key[:4]][curve.index[0], curve.index[-1]] += weight
        for key, experiment in self.experiments.items():
            for run_id, curve in [*experiment.curves.items()]:
                here, usual = (curve.index[0], curve.index[-1]), ends[key[:4]].most_common(1)[0][0]
                if here != usual:
                    said = f"{here[0]} to {here[1]} labelled points, not {usual[0]} to {usual[1]}"
                    self._problem(Path(f"{experiment.folder}/run_{run_id}"), said)
                    run: _Key = (*key, run_id)
                    self.status[run] = "damaged"
                    del experiment.curves[run_id], experiment.notes[run_id]


def spans(numbers: Iterable[int]) -> str:
    """Integers as a short text.

    Example:
        >>> spans([7, 3, 9, 8])
        '3, 7-9'
    """
    ordered = enumerate(sorted(set(numbers)))
    parts = [[one for _, one in part] for _, part in groupby(ordered, lambda pair: pair[1] - pair[0])]
    return ", ".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)
