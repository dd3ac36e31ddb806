"""The store of reference runs: its files, how they are read and checked, and how runs are added.

A store is a folder. All runs of one (dataset, variation, protocol) are two files in it:

- `<dataset>_<variation>_<protocol>.csv.gz`: the curves, one row a measurement: `query_size`, `agent`,
  `run`, `labelled` (seed set and points added), and a column for each metric. Values keep all digits of the
  runs' own files.
- `<dataset>_<variation>_<protocol>.jsonl`: JSON lines. The first says the schema's version and what the file
  is of. Then, for each experiment, a line with its `settings`, and for each of its runs one with what was
  noted of it: versions, commit, machine, seconds, the last round's PIT histogram.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from filelock import FileLock

from ..batches import QuerySize, batch_ends, query_size
from ..errors import UserError
from ..files import EXACT_FLOATS, one_line, read_bytes, remove_parts, write_files
from ..metrics import METRICS, PIT_BINS
from ..runs.settings import SINCE, differences

#: Goes up when the files of a store change their form.
SCHEMA = 2

#: What all runs of different agents must share to be compared.
TASK = ["dataset", "variation", "protocol", "query_size"]
#: What runs of different query sizes share: the two files of a store, an upper bound.
SETTING = TASK[:3]
#: What the runs of an experiment share: they are repetitions.
EXPERIMENT = [*TASK, "agent"]
#: Values of `EXPERIMENT`.
Key: TypeAlias = tuple[str, str, str, QuerySize, str]

#: What is noted of each run: CPU seconds.
SECONDS = ["seconds_choosing", "seconds_in_step"]

_INDEX = ["query_size", "agent", "run", "labelled"]
#: Settings that keep the runs of a folder apart, and say nothing about what was computed. (Only older runs
#: have the last two.)
_CODE = ("agent_code", "dataset_code", "results_version")
#: Settings in which agents that are compared may differ: their own, and the name of the configuration's file.
OF_AN_AGENT = ("agent", "agent_version", "config", "dropout")
#: Models whose MAE is in `trained.csv`, and that of the flow as a share of the better of the last two.
TRAINED = ("flow", "median", "trees", "Gaussian process", "flow / best")


@dataclass
class Runs:
    """The finished runs of one experiment, of a folder or of the store.

    Attributes:
        settings: what they have in common.
        folder: where they are; None in the store.
        curves: of each run a column for each metric, a row for each measurement, by labelled points.
        notes: of each run what was noted of it: versions, seconds, and as `pit` the last round's histogram.
    """

    settings: dict[str, Any]
    folder: Path | None = None
    curves: dict[int, pd.DataFrame] = field(default_factory=dict)
    notes: dict[int, dict[str, Any]] = field(default_factory=dict)


def definition(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that say what was computed, with those that older runs lack; not those of the code."""
    today = {name: value for name, value in settings.items() if name not in _CODE}
    return today | {name: value for name, value in SINCE.items() if name not in today}


def read_store(folder: Path) -> dict[Key, Runs]:
    """All experiments in a store.

    Raises:
        UserError: there is none, or one of its files is damaged or of another schema.
    """
    paths = sorted(folder.glob("[!.]*.jsonl"))
    for curves in folder.glob("[!.]*.csv.gz"):
        if (part := curves.name.removesuffix(".csv.gz") + ".jsonl") not in [path.name for path in paths]:
            raise UserError(f"{curves} lacks its file {part}: download it")
    if not paths:
        raise UserError(f"{folder} holds no stored runs (*.csv.gz, *.jsonl)")
    return {key: stored for path in paths for key, stored in _read_part(path).items()}


def _read_part(path: Path) -> dict[Key, Runs]:
    """The experiments of one (dataset, variation, protocol)."""
    found: dict[Key, Runs] = {}
    with _usable(path):
        head, *lines = [json.loads(line) for line in read_bytes(path).decode("utf-8").splitlines()] or [{}]
        if (schema := head.get("schema")) != SCHEMA:
            raise ValueError(f"its schema is {schema}, this code reads {SCHEMA}")
        dataset, variation, protocol = (head[name] for name in SETTING)
        for line in lines:
            key = (dataset, variation, protocol, line.pop("query_size"), line.pop("agent"))
            if "settings" in line:
                found[key] = Runs(line["settings"])
                continue
            run, pit = line.pop("run"), line.get("pit", [0] * PIT_BINS)  # older runs have none
            if len(pit) != PIT_BINS or not all(line[name] >= 0 for name in SECONDS):
                raise ValueError(f"run {run} of {key[-1]} has wrong seconds or PIT counts")
            found[key].notes[run] = line
    curves = path.with_suffix(".csv.gz")
    with _usable(curves):
        content = gzip.decompress(read_bytes(curves))
        if head.get("sha256") not in (None, hashlib.sha256(content).hexdigest()):  # older stores say none
            raise ValueError(f"its SHA-256 is not the one in {path.name}")
        kinds = dict.fromkeys(_INDEX, "int64") | dict.fromkeys(METRICS, "float64")
        kinds |= {"query_size": "str", "agent": "str"}
        table = pd.read_csv(
            io.BytesIO(content), dtype=kinds, keep_default_na=False, na_values=[""], **EXACT_FLOATS
        )
        by = [table.pop(name) for name in _INDEX]
        table = table.set_index(by.pop()).copy()  # as one block, which pandas splits and joins faster
        for (size, agent, run), rows in table.groupby([*map(np.asarray, by)], sort=False):
            key = (dataset, variation, protocol, query_size(size), agent)
            found[key].curves[run] = rows
        for key, stored in found.items():
            if stored.curves.keys() != stored.notes.keys():
                raise ValueError(f"it has other runs of {key[-1]}, query size {key[3]}, than {path.name}")
    return found


@contextmanager
def _usable(path: Path) -> Iterator[None]:
    """Makes any error of a damaged file one line."""
    try:
        yield
    except KeyError as error:
        raise UserError(f"{path} cannot be used (a line lacks {error}): download it again") from error
    except (OSError, EOFError, zlib.error, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} cannot be used ({one_line(error)}): download it again") from error


def read_trained(folder: Path) -> pd.DataFrame:
    """`trained.csv` of a store, made by benchmarks/is_it_trained.py: empty where there is none.

    Raises:
        UserError: it is not such a table.
    """
    path = folder / "trained.csv"
    if not path.exists():
        return pd.DataFrame()
    with _usable(path):
        columns = ["dataset", "run", "labels", *TRAINED]
        return pd.read_csv(path, usecols=columns, **EXACT_FLOATS)[columns]


def add_runs(store: Path, made: Mapping[Key, Runs]) -> tuple[dict[Key, list[int]], int]:
    """Adds finished runs to a store, which may be new; runs that are stored already stay as they are.

    Args:
        made: experiments of folders.

    Returns:
        The ids of the added runs by experiment; and how many of the others have other values than the stored
        ones, as another machine gives.

    Raises:
        UserError: a run was made with other settings than the stored ones of its experiment, or than its task
            has in common, or lacks a row; nothing was written then.
    """
    if not any(experiment.curves for experiment in made.values()):
        return {}, 0
    store.mkdir(parents=True, exist_ok=True)
    with FileLock(store / ".lock"):
        remove_parts(store)
        there = read_store(store) if any(store.glob("[!.]*.jsonl")) else {}
        added: dict[Key, list[int]] = {}
        differing = 0
        for key, experiment in made.items():
            for run_id, curves in experiment.curves.items():
                _check_rounds(experiment, run_id)
                stored = there.setdefault(key, Runs(experiment.settings))
                _check_same(experiment.settings, stored.settings, str(experiment.folder), "in the store")
                if run_id in stored.curves:
                    differing += not curves.equals(stored.curves[run_id].dropna(axis=1, how="all"))
                else:
                    stored.settings = experiment.settings | stored.settings
                    stored.curves[run_id], stored.notes[run_id] = curves, experiment.notes[run_id]
                    added.setdefault(key, []).append(run_id)
        for key in added:
            for other, stored in there.items():
                if other[:4] == key[:4]:  # what is to be ranked must have been measured alike
                    name = ", ".join(map(str, key))
                    _check_same(there[key].settings, stored.settings, name, f"{other[-1]} was", OF_AN_AGENT)
        for setting in {key[:3] for key in added}:
            _write_part(store, setting, there)
    return added, differing


def _check_rounds(experiment: Runs, run_id: int) -> None:
    run, settings = f"{experiment.folder}/run_{run_id}", experiment.settings
    try:
        rounds = [0, *batch_ends(settings["query_size"], int(settings["budget"]))]
        labelled = [int(settings["seed_set"]) + points for points in rounds]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{run} cannot be stored: its settings have no usable budget") from error
    if experiment.curves[run_id].index.tolist() != labelled:
        raise UserError(f"{run} cannot be stored: it does not have one row for each round")


def _check_same(
    one: Mapping[str, Any], other: Mapping[str, Any], what: str, where: str, but: Collection[str] = ()
) -> None:
    for name, (mine, theirs) in differences(one, other, but).items():
        raise UserError(f"{what} was made with {name} {mine}, not {theirs} as {where}", "store")


def _write_part(folder: Path, setting: tuple[str, ...], there: Mapping[Key, Runs]) -> None:
    """Writes the two files of one (dataset, variation, protocol); the same runs give the same bytes.

    Raises:
        UserError: a file cannot be written; what was there is still there.
    """
    of_setting = (key for key in there if key[:3] == setting)
    # Batches that grow, a text, come after those of one size.
    part = {key[3:]: there[key] for key in sorted(of_setting, key=lambda key: (isinstance(key[3], str), key))}
    runs = {(*key, run): one.curves[run] for key, one in part.items() for run in sorted(one.curves)}
    table = pd.concat(runs, names=_INDEX).reset_index()
    table = table[[*_INDEX, *(name for name in METRICS if name in table)]]
    text = table.to_csv(index=False).encode()
    head = {"schema": SCHEMA, **dict(zip(SETTING, setting, strict=True))}
    lines: list[dict[str, Any]] = [head | {"sha256": hashlib.sha256(text).hexdigest()}]
    for (size, agent), stored in part.items():
        experiment = {"query_size": size, "agent": agent}
        lines.append(experiment | {"settings": stored.settings})
        lines += [experiment | {"run": run} | notes for run, notes in sorted(stored.notes.items())]
    contents = {
        "csv.gz": gzip.compress(text, mtime=0),
        "jsonl": "".join(json.dumps(line) + "\n" for line in lines).encode(),
    }
    name = "_".join(setting)
    write_files(
        {folder / f"{name}.{end}": partial(Path.write_bytes, data=data) for end, data in contents.items()}
    )
