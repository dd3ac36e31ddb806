"""The environments that benchmarks measure: a dataset early in a run, with real or random content."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from measure import make_parser

from agents import AGENTS
from core import Seeds
from core.cli import ArgumentParser
from core.dataset import Dataset
from core.environment import Environment
from core.models.variations import load_config
from core.protocol import PUBLISHED, Protocol
from datasets import DATASETS

__all__ = ["SIZES", "RandomTable", "make_environment", "make_table", "make_task_parser"]

#: Rows and features (docs/DATASETS.md).
SIZES = {
    "pakinsons": (5_875, 61),
    "superconductors": (21_263, 81),
    "sarcos": (44_484, 21),
    "diamonds": (53_940, 26),
}


class RandomTable(Dataset):
    """A table of random content."""

    folder, seed_set, budget = "Random", 200, 800

    def __init__(self, rows: int, features: int, seeds: Seeds) -> None:
        self.shape = rows, features
        super().__init__("", seeds)

    def rows(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return rng.random(self.shape), rng.random(self.shape[0])


def make_task_parser(doc: str | None, out: str) -> ArgumentParser:
    """`make_parser` with the choice of datasets."""
    parser = make_parser(doc, out)
    parser.add_argument("--datasets", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--data_folder", type=Path, help="where the real files are")
    return parser


def make_table(dataset: str, data_folder: Path | None, seeds: Seeds) -> Dataset:
    """The real data, or random content of their size if there is no folder."""
    if data_folder is None:
        return RandomTable(*SIZES[dataset], seeds)
    return DATASETS[dataset](data_folder, seeds, skip_data_check=True)


def make_environment(
    dataset: str,
    data_folder: Path | None = None,
    *,
    variation: str = "nf",
    protocol: Protocol = PUBLISHED,
    table: Dataset | None = None,
    **changes: Any,
) -> Environment:
    """The environment after its first fit, with the dropout of agents that use passes.

    Args:
        data_folder: where the real file is; random content of the dataset's size if None.
        table: other data, under the dataset's configuration.
        changes: to the configuration.
    """
    if table is None:
        table = make_table(dataset, data_folder, Seeds())
    config = AGENTS["balsa_emd"].inject_config(load_config(dataset, variation))
    env = Environment(table, replace(config, **changes), protocol)
    env.reset()
    return env
