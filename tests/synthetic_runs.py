"""Runs folders with invented numbers, written as real runs write them."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from core.metrics import METRICS
from core.runs.files import Record, aggregate, runs_root, write_results
from core.runs.settings import agree_on_settings, write_meta

BUDGET = 12
#: Of the runs of every kind.
AGENTS = ("random", "balsa_emd", "balsa_emd_dual", "coreset")


def write_experiment(
    runs_folder: Path,
    agent: str = "random",
    run_ids: Iterable[int] = (1, 2, 3),
    *,
    dataset: str = "diabetes",
    variation: str = "nf",
    protocol: str = "published",
    query_size: int = 4,
    level: float = 0.1,
) -> Path:
    """The finished runs of one experiment: curves that fall to `level`; returns its folder."""
    folder = runs_root(runs_folder, variation, protocol) / dataset.title() / str(query_size) / agent.title()
    settings: dict[str, object] = {
        "agent": agent,
        "dataset": dataset,
        "variation": variation,
        "protocol": protocol,
    }
    agree_on_settings(folder, settings | {"query_size": query_size}, [], False)
    index = pd.RangeIndex(0, BUDGET + 1, query_size, name="added")
    for run_id in run_ids:
        rng = np.random.default_rng([run_id, *(settings | {"q": str(query_size)}).__repr__().encode()])
        run = folder / f"run_{run_id}"
        run.mkdir()
        mae = level * (1 + np.exp(-index / 4) + 0.05 * rng.normal(size=len(index)))
        write_curves(run, run_id, index, mae, rng)
        seconds = {"seconds_choosing": 0.5 + rng.uniform(), "seconds_in_step": 2 + rng.uniform()}
        write_meta(run / "meta.txt", settings | {"query_size": query_size, "seed_set": 50} | seconds)
    aggregate(folder)
    return folder


def write_upper_bound(
    runs_folder: Path, run_ids: Iterable[int] = (1, 2), *, dataset: str = "diabetes", level: float = 0.08
) -> None:
    """Finished runs of the upper bound, of different lengths."""
    folder = runs_folder / dataset.title() / "UpperBound"
    settings = {"dataset": dataset, "variation": "nf", "protocol": "published"}
    agree_on_settings(folder, settings, [], False)
    for run_id in run_ids:
        rng = np.random.default_rng(run_id)
        index = pd.RangeIndex(1, 30 + 3 * run_id, name="epoch")
        run = folder / f"run_{run_id}"
        run.mkdir()
        write_curves(run, run_id, index, level * (1 + np.exp(-index / 5)), rng)
        write_meta(run / "meta.txt", settings)
    aggregate(folder)


def write_curves(run: Path, run_id: int, index: pd.Index, mae: np.ndarray, rng: np.random.Generator) -> None:
    """The CSV files of a run, all metrics of the MAE's shape."""
    of_metric = {"mae": mae, "nll": 20 * mae - 5, "crps": 0.7 * mae, "validation_nll": 19 * mae - 5}
    of_metric["calibration"] = 0.3 * mae
    record = Record(str(index.name), run_id)
    record.index = list(index)
    for metric in METRICS.values():
        record.curves[metric.name] = list(of_metric.get(metric.name, 1.5 * mae))
    record.pit = rng.multinomial(89, np.full(20, 1 / 20), size=len(index)).tolist()
    write_results(run, record)


def write_every_kind(folder: Path) -> Path:
    """Results of every kind, one run of them unfinished; the folder."""
    for i, agent in enumerate(AGENTS):
        for query_size in (4, 6):
            write_experiment(folder, agent, query_size=query_size, level=0.1 - 0.01 * i)
        write_experiment(folder, agent, variation="gauss", level=0.1 - 0.01 * i)
    write_experiment(folder, "gauss_std", variation="gauss")
    write_experiment(folder, "random", protocol="corrected")
    write_experiment(folder, "coreset", protocol="corrected", level=0.09)
    write_upper_bound(folder)
    (folder / "Diabetes/4/Coreset/run_4").mkdir()
    return folder
