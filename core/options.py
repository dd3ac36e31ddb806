"""The fields of an `Experiment`, which are options of the scripts: default, help and type, each once.

Nothing here imports torch.
"""

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from .cli import ArgumentParser, at_least, auto_or_count, batch_sizes
from .config import check_changes, read_file
from .protocol import PROTOCOLS

DATA_KINDS = "a name, the path of a table (.csv, .parquet, .arff, also .gz), or openml:<id>"
QUERY_SIZE = "points chosen per round, or growing batches such as 10,20,40, the last of which repeats"
#: Fields that say what columns of a table are; which data; further seeds than that of the run.
DECISIONS = ("numeric", "category", "ignore", "keep", "cyclic")
DATA = ("dataset", "target", *DECISIONS, "seed_set", "data_folder", "skip_data_check")
SEEDS = ("agent_seed", "pool_seed", "model_seed")


def _option(text: str, default: Any = MISSING, *, compare: bool = True, hash: Any = None, **how: Any) -> Any:
    """A field; argparse reads it as `how` says."""
    return field(default=default, compare=compare, hash=hash, metadata={"help": text, "argument": how})


def _columns(text: str) -> Any:
    return _option(f"of a table: columns that {text}", (), action="extend", nargs="+", metavar="COLUMN")


@dataclass(frozen=True)
class Options:
    """The fields of an `Experiment`. If all of them except `data_folder` are equal, so are the runs."""

    dataset: str = _option(DATA_KINDS)
    agent: str = _option("name of an agent")
    variation: str = _option("the model; evaluate.py --list shows all", "nf")
    protocol: str = _option("as in the published code, or corrected", "published", choices=list(PROTOCOLS))
    query_size: int | str = _option(QUERY_SIZE, 50, type=batch_sizes)
    budget: int = _option(  # None: the dataset's own number
        "points to add, if not as many as the dataset says; fewer for a trial", None, type=at_least(1)
    )
    agent_seed: int = _option("seed of the agent and its candidates", 1, type=at_least(0))
    pool_seed: int = _option("seed of validation set and seed set", 1, type=at_least(0))
    model_seed: int = _option("seed of initial weights, dropout and evaluation", 1, type=at_least(0))
    target: str | None = _option("of a table: the column to predict", None)
    numeric: tuple[str, ...] = _columns("hold numbers or dates: other cells are missing")
    category: tuple[str, ...] = _columns("hold categories")
    ignore: tuple[str, ...] = _columns("are not used")
    keep: tuple[str, ...] = _columns("are used as they are: row numbers, a target far from all others")
    cyclic: tuple[str, ...] = _columns("hold dates whose time of the year, and of the day, matters")
    seed_set: int | None = _option("of a table: points labelled at the start", None, type=at_least(2))
    skip_data_check: bool = _option(
        "1: accept a table that differs from the published one", False, type=int, choices=(0, 1)
    )
    config: Mapping[str, Any] = _option(  # None: no changes
        "YAML file with hyper-parameters that replace the usual ones", None, hash=False, type=Path
    )
    policy: Path | None = _option(  # noqa: RUF009, it gives a field
        "the policy file of agent 'learned', instead of its own", None, type=Path
    )
    tried: int = _option("points that the oracle tries in each round", 20, type=at_least(1))
    epoch_limit: int = _option("most epochs of an upper bound; fewer for a trial", 1000, type=at_least(1))
    data_folder: Path = _option(  # noqa: RUF009, it gives a field
        "where dataset files are, or are downloaded to", Path("../datasets"), compare=False, type=Path
    )


_FIELDS = {one.name: one for one in fields(Options)}


def add_options(parser: ArgumentParser, names: Iterable[str], **defaults: Any) -> None:
    """Adds the options of these names, required where the field has no default; `defaults` are other ones."""
    for name in names:
        one = _FIELDS[name]
        default, more = defaults.get(name, one.default), one.metadata["argument"]
        if default is MISSING:
            more = {"required": True, **more}
        shown = int(default) if isinstance(default, bool) else default
        parser.add(name, None if shown in ((), MISSING) else shown, one.metadata["help"], **more)


def make_parser(script: str, description: str | None, names: Iterable[str], restarts: int) -> ArgumentParser:
    """The parser of a script that makes runs: options of these names, which runs to make, how, and where.

    Args:
        restarts: the script's default number of runs.
    """
    parser = ArgumentParser(prog=script, description=description)
    add_options(parser, names)
    parser.add("run_id", 1, "id of the first run", type=at_least(0))
    parser.add("restarts", restarts, "number of runs, of increasing ids", type=at_least(1, 100_000))
    parser.add("side_by_side", "auto", "how many runs to train as one stack", type=auto_or_count)
    parser.add("device", "auto", "auto, cpu, cuda, cuda:1, ...")
    parser.add("threads", 1, "threads of this process", type=at_least(1, 1024))
    parser.add("runs_folder", Path("runs"), "where the results go", type=Path)
    parser.add("overwrite", 0, "1: make finished runs again", type=int, choices=(0, 1))
    return parser


def options_of(args: argparse.Namespace) -> dict[str, Any]:
    """The options of `add_options` as fields of an `Experiment`."""
    asked = {name: value for name, value in vars(args).items() if name in _FIELDS}
    if path := asked.pop("config", None):
        asked["config"] = check_changes(read_file(path), path)
    return asked | {name: tuple(asked[name] or ()) for name in DECISIONS if name in asked}
