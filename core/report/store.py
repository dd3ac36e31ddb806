"""The store of reference runs: its files, how they are read and checked, how they are written.

A store is a folder. All runs of one (dataset, variation, protocol) are two files in it:

- `<dataset>_<variation>_<protocol>.csv.gz`: the curves, one row a measurement: `query_size`, `agent`,
  `run`, `labelled` (seed set and points added), and a column for each metric. Values keep all their digits:
  they are those of the runs' files.
- `<dataset>_<variation>_<protocol>.jsonl`: JSON lines. The first says the schema's version and what the file
  is of. Then, for each experiment, a line with its `settings`, and for each of its runs one with what was
  noted of it: versions, commit, machine, seconds, the last round's PIT histogram.

Both change together. New ones are written as `*.next` first, the curves before the lines; from the moment
that the new curves bear their final name, the new lines count, whether they have been renamed too or not.
"""

import ast
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from ..errors import UserError
from ..files import EXACT_FLOATS, commit, gunzip, one_line, read_bytes, remove, write_file
from ..metrics import METRICS, PIT_BINS
from ..runs.settings import SINCE

__all__ = [
    "SCHEMA",
    "TRAINED",
    "Key",
    "Stored",
    "check_run",
    "definition",
    "differences",
    "finish_parts",
    "read_store",
    "read_trained",
    "write_part",
]

#: Goes up when the files of a store change their form.
SCHEMA = 2

#: An experiment: dataset, variation, protocol, query size, agent.
Key: TypeAlias = tuple[str, str, str, int, str]

_SETTING = ("dataset", "variation", "protocol")
_INTEGERS = ("query_size", "run", "labelled")
_INDEX = ["query_size", "agent", "run", "labelled"]
#: Settings that keep the runs of a folder apart, and say nothing about what was computed. (Only older runs
#: have `results_version`.)
_CODE = ("agent_code", "dataset_code", "results_version")
#: Models whose MAE stands in `trained.csv`, and that of the flow as a share of the better of the last two.
TRAINED = ("flow", "median", "trees", "Gaussian process", "flow / best")
#: What a run's line must hold, and a setting without which no curve can be checked.
_NOTED = ("code", "python", "torch", "device", "threads", "seconds_choosing", "seconds_in_step")
_SET = ("seed_set", "budget", "protocol_version", "agent_version")


@dataclass
class Stored:
    """The stored runs of one experiment.

    Attributes:
        settings: what its runs have in common.
        curves: of each run a column for each metric, a row for each measurement, by labelled points.
        notes: of each run what was noted of it.
    """

    settings: dict[str, Any]
    curves: dict[int, pd.DataFrame] = field(default_factory=dict)
    notes: dict[int, dict[str, Any]] = field(default_factory=dict)


def definition(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that say what was computed, as they are written now.

    Which code did it is left out. Older runs have no versions (they are of the first), `hidden` as a text,
    numbers for yes and no.
    """
    today = {name: value for name, value in settings.items() if name not in _CODE}
    today |= {name: value for name, value in SINCE.items() if name not in today}
    if isinstance(hidden := today.get("hidden"), str):
        today["hidden"] = list(ast.literal_eval(hidden))
    if "skip_data_check" in today:
        today["skip_data_check"] = bool(today["skip_data_check"])
    return today


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The settings that both have and that differ; what only one of them notes is no difference."""
    return {name: (one[name], other[name]) for name in one if name in other and one[name] != other[name]}


def read_store(folder: Path) -> dict[Key, Stored]:
    """All experiments in a store.

    Raises:
        UserError: there is none, or one of its files is damaged or of another schema.
    """
    found = {path.with_name(path.name.removesuffix(".next")) for path in folder.glob("[!.]*.jsonl*")}
    paths = sorted(path for path in found if path.with_suffix(".csv.gz").exists() or path.exists())
    if lonely := {path.name.removesuffix(".csv.gz") for path in folder.glob("*.csv.gz")} - {
        path.stem for path in paths
    }:
        raise UserError(f"{folder / min(lonely)}.csv.gz lacks its file {min(lonely)}.jsonl")
    if not paths:
        raise UserError(f"{folder} holds no stored runs (*.csv.gz, *.jsonl)")
    return {key: stored for path in paths for key, stored in _read_part(path).items()}


def _read_part(path: Path) -> dict[Key, Stored]:
    """The experiments of one (dataset, variation, protocol), checked."""
    try:
        found = _read_lines(_lines_of(path))
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(path, error) from error
    except KeyError as error:
        raise _damaged(path, f"a line lacks {error}") from error
    curves = path.with_suffix(".csv.gz")
    try:
        _read_curves(curves, found)
    # pandas' own errors are ValueErrors; the settings may be of any type.
    except (OSError, EOFError, zlib.error, ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise _damaged(curves, error) from error
    return found


def _damaged(path: Path, reason: object) -> UserError:
    return UserError(f"{path} cannot be used ({one_line(reason)}): fetch it anew")


def _next(path: Path) -> Path:
    return path.with_name(f"{path.name}.next")


def _lines_of(path: Path) -> Path:
    """The file that holds the lines which belong to the curves."""
    lines, curves = _next(path), _next(path.with_suffix(".csv.gz"))
    return lines if lines.exists() and not curves.exists() else path


def _read_lines(path: Path) -> dict[Key, Stored]:
    head, *lines = [json.loads(line) for line in read_bytes(path).decode("utf-8").splitlines()] or [{}]
    if (schema := head.get("schema")) != SCHEMA:
        raise ValueError(f"its schema is {schema}, this code reads {SCHEMA}")
    dataset, variation, protocol = (head[name] for name in _SETTING)
    if path.name.removesuffix(".next") != f"{dataset}_{variation}_{protocol}.jsonl":
        raise ValueError(f"it says that it is of {dataset}_{variation}_{protocol}")
    found: dict[Key, Stored] = {}
    for line in lines:
        key = (dataset, variation, protocol, line["query_size"], line["agent"])
        name = f"{line['agent']}, query size {line['query_size']}"
        if "settings" in line:
            settings = line["settings"]
            if key in found:
                raise ValueError(f"{name} has two settings")
            _check_settings(settings, name)
            own = dict(zip((*_SETTING, "query_size", "agent"), key, strict=True))
            if unlike := differences(own, settings):
                raise ValueError(f"the settings of {name} say another {', '.join(unlike)}")
            found[key] = Stored(settings)
        elif key not in found or line["run"] in found[key].notes:
            raise ValueError(f"run {line['run']} of {name} is there twice, or before its settings")
        else:
            notes = {part: line[part] for part in line if part not in ("query_size", "agent", "run")}
            _check_notes(notes, f"run {line['run']} of {name}")
            found[key].notes[line["run"]] = notes
    return found


def check_run(curves: pd.DataFrame, settings: Mapping[str, Any], notes: Mapping[str, Any], name: str) -> None:
    """Raises a ValueError if a run lacks what a store holds of each, or has a row too many or too few.

    Args:
        curves, settings, notes: as of `Stored`.
        name: what the error calls it.
    """
    _check_settings(settings, name)
    _check_notes(notes, name)
    _check_curves(curves, settings, name)


def _check_settings(settings: Mapping[str, Any], name: str) -> None:
    if lacking := [setting for setting in _SET if setting not in settings]:
        raise ValueError(f"the settings of {name} lack {', '.join(lacking)}")


def _check_notes(notes: Mapping[str, Any], name: str) -> None:
    if lacking := [noted for noted in _NOTED if noted not in notes]:
        raise ValueError(f"{name} lacks {', '.join(lacking)}")
    if len(notes.get("pit", [0] * PIT_BINS)) != PIT_BINS:
        raise ValueError(f"{name}: a PIT histogram has {PIT_BINS} bins")


def _read_curves(path: Path, found: Mapping[Key, Stored]) -> None:
    """Puts the runs of a table into `found`, of which it must hold all and no others."""
    kinds = {"agent": "str", **dict.fromkeys(_INTEGERS, "int64"), **dict.fromkeys(METRICS, "float64")}
    content = gunzip(read_bytes(path))
    if content.partition(b"\n")[0].count(b",") >= len(kinds):
        raise ValueError(f"it has more than {len(kinds)} columns")
    table = pd.read_csv(
        io.BytesIO(content),
        dtype=kinds,
        keep_default_na=False,
        na_values=[""],
        **EXACT_FLOATS,
    )
    metrics = [name for name in METRICS if name in table or METRICS[name].in_every_run]
    if list(table) != [*_INDEX, *metrics]:
        raise ValueError(
            f"its columns are {', '.join(map(str, table))}, not {', '.join([*_INDEX, *metrics])}"
        )
    of = {key[3:]: stored for key, stored in found.items()}
    labelled, values = table["labelled"].to_numpy(), table[metrics].to_numpy()
    groups: Any = table.groupby(_INDEX[:3], sort=False).indices
    del table
    for (query_size, agent, run), rows in groups.items():
        stored = of.get((query_size, agent))
        name = f"run {run} of {agent}, query size {query_size}"
        if stored is None or run not in stored.notes:
            raise ValueError(f"{path.stem.removesuffix('.csv')}.jsonl does not have {name}")
        of_run = values[rows]
        there = ~np.isnan(of_run).all(0)
        index = pd.Index(labelled[rows], name="labelled")
        curves = pd.DataFrame(
            of_run[:, there], index, [m for m, is_there in zip(metrics, there, strict=True) if is_there]
        )
        _check_curves(curves, stored.settings, name)
        stored.curves[int(run)] = curves
    for (_, _, _, query_size, agent), stored in found.items():
        if stored.curves.keys() != stored.notes.keys() or not stored.curves:
            raise ValueError(f"it lacks runs of {agent}, query size {query_size}")


def _check_curves(curves: pd.DataFrame, settings: Mapping[str, Any], name: str) -> None:
    """A run has every measurement once, in order, in each metric that it has."""
    begin, budget = int(settings["seed_set"]), int(settings["budget"])
    rounds = range(0, budget, int(settings["query_size"]))
    added = [*rounds, budget] if len(rounds) < len(curves) else []
    if curves.index.tolist() != [begin + points for points in added]:
        raise ValueError(f"{name} does not have one row for each round")
    lacking = [metric for metric, of in METRICS.items() if of.in_every_run and metric not in curves]
    if np.isnan(curves.to_numpy()).any() or lacking:
        raise ValueError(f"{name} lacks values")


def read_trained(folder: Path | None) -> pd.DataFrame:
    """`trained.csv` of a store, made by benchmarks/is_it_trained.py: empty where there is none, or no store.

    Raises:
        UserError: it is not such a table.
    """
    columns = ["dataset", "run", "labels", *TRAINED]
    path = folder and folder / "trained.csv"
    if not path or not path.exists():
        return pd.DataFrame(columns=columns)
    try:
        return pd.read_csv(io.BytesIO(read_bytes(path)), **EXACT_FLOATS)[columns]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: not a table of benchmarks/is_it_trained.py: {one_line(error)}") from error


def write_part(folder: Path, setting: tuple[str, str, str], stored: Mapping[Key, Stored]) -> list[Path]:
    """Writes the two files of one (dataset, variation, protocol); the same runs give the same bytes.

    Args:
        setting: dataset, variation, protocol.
        stored: all experiments of a store; those of others are not looked at.

    Raises:
        UserError: a file cannot be written; what was there is still there.
    """
    of = {key: stored[key] for key in sorted(stored) if key[:3] == setting}
    name = "_".join(setting)
    csv = gzip.compress(_table(of).to_csv(index=False).encode(), mtime=0)
    head = {"schema": SCHEMA, **_of(setting)}
    text = "".join(json.dumps(line) + "\n" for line in (head, *_lines(of)))
    curves, lines = folder / f"{name}.csv.gz", folder / f"{name}.jsonl"
    finish_parts(folder)  # what there is of `.next` files now is of no use any more
    write_file(_next(curves), lambda path: path.write_bytes(csv))
    write_file(_next(lines), lambda path: path.write_text(text, encoding="utf-8", newline="\n"))
    try:
        commit({_next(curves): curves})
        commit({_next(lines): lines})
    except OSError as error:
        raise UserError(f"{folder / name}.* cannot be written: {error.strerror or error}") from error
    return [curves, lines]


def finish_parts(folder: Path) -> None:
    """Ends what a killed `write_part` had begun, where nobody else writes now: all of it, or nothing."""
    for lines in folder.glob("*.jsonl.next"):
        path = lines.with_suffix("")
        if _lines_of(path) == lines:
            commit({lines: path})
        else:
            remove(lines)
    remove(*folder.glob("*.csv.gz.next"))


def _of(setting: tuple[str, str, str]) -> dict[str, str]:
    return dict(zip(_SETTING, setting, strict=True))


def _table(of: Mapping[Key, Stored]) -> pd.DataFrame:
    runs = {
        (*key[3:], run): table for key, stored in of.items() for run, table in sorted(stored.curves.items())
    }
    table = pd.concat(runs, names=_INDEX).reset_index()
    return table[[*_INDEX, *(name for name in METRICS if name in table)]]


def _lines(of: Mapping[Key, Stored]) -> Iterator[dict[str, Any]]:
    for (*_, query_size, agent), stored in of.items():
        experiment = {"query_size": query_size, "agent": agent}
        yield experiment | {"settings": stored.settings}
        for run, notes in sorted(stored.notes.items()):
            yield experiment | {"run": run} | {name: _plain(value) for name, value in notes.items()}


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value
