"""Runs one experiment: an agent on a dataset, once for each restart.

    python evaluate.py --agent balsa_emd --dataset sarcos --query_size 50

The results lie in runs/<Dataset>/<query_size>/<Agent>/; docs/USING.md describes them.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import core
from core import util
from core.cli import ArgumentParser, add_run_options, run_options, run_script
from core.options import DATA, SEEDS, add_options, options_of
from core.util import tqdm

if TYPE_CHECKING:
    import pandas as pd


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = ArgumentParser(prog="evaluate.py", description=__doc__)
    names = ("agent", *DATA, "variation", "protocol", "query_size", "budget", *SEEDS, "config", "policy")
    add_options(parser, names)
    add_run_options(parser, restarts=50)
    flag: dict[str, Any] = {"type": int, "choices": (0, 1)}
    parser.add("record_points", 0, "1: keep the chosen points in selected_points.pt", **flag)
    said = "1: keep what the last round's model says of each test row in predictions.npz"
    parser.add("record_predictions", 0, said, **flag)
    parser.add_argument("--list", action="store_true", help="list agents, datasets and variations, and exit")
    args = parser.parse_args(arguments)
    if not args.list and not (args.agent and args.dataset):
        parser.error("--agent and --dataset are needed; --list shows what there is")
    return args


def list_names() -> None:
    from core import AGENTS, DATASETS
    from core.batch_noise import SUFFIXES
    from core.catalogue import families, first_line
    from core.models.variations import VARIATIONS

    print("agents")
    for family, agents in families().items():
        print(f" {family}")
        for name, cls in agents.items():
            print(f"  {', '.join([name, *AGENTS.aliases(name)]):28}{first_line(cls)}")
    ends = "; ".join(f"+{suffix}: {formula}" for suffix, formula in SUFFIXES.items())
    print(f"  <agent>+<suffix>: the top of an agent's scores s with noise G ~ Gumbel(0, 1). {ends}")
    print("  <agent>+dropout05: the agent, its model trained with dropout >= 0.05, as BALD's and BALSA's are")
    print("datasets")
    for name, dataset in DATASETS.classes.items():
        unverified = "" if getattr(dataset, "verified", True) else " (unverified)"
        print(f"  {', '.join([name, *DATASETS.aliases(name)]):28}{first_line(dataset)}{unverified}")
    print("variations")
    for variation in VARIATIONS.values():
        print(f"  {variation.name:28}{variation.label}")


def make_experiment(args: argparse.Namespace) -> core.Experiment:
    return core.Experiment(**options_of(args))


def play(env: Any, agent: Any, log_path: Path, args: Any) -> None:
    """One run, from its first fit to its files."""
    dataset = env.dataset
    with core.EnvironmentLogger(env, log_path, util.is_cluster) as env:
        done = False
        dataset.reset()
        state = env.reset()
        iterations = math.ceil(env.env.budget / args.query_size)
        iterator = tqdm(range(iterations), miniters=2)
        for i in iterator:
            action = agent.predict(*state)
            state, reward, done, truncated, info = env.step(action)
            iterator.set_postfix({"accuracy": env.accuracies[1][-1]})
            if done or truncated:
                # triggered when sampling batch_size is >1
                break


def read_tables(folder: Path, run_ids: Iterable[int]) -> dict[str, pd.DataFrame]:
    """The curves of these runs, one column a run, by the label of each of the study's three metrics."""
    from core.metrics import METRICS
    from core.runs.files import read_curves

    columns = [f"run_{run_id}" for run_id in run_ids]
    shown = [METRICS[name] for name in ("mae", "nll", "crps")]
    return {metric.label: read_curves(folder / metric.file)[columns] for metric in shown}


def over_runs(values: Mapping[str, pd.Series]) -> str:
    """How many runs; of each metric mean and standard deviation over them."""
    parts = []
    for label, of_runs in values.items():
        spread = f" +- {of_runs.std():.4f}" if len(of_runs) > 1 else ""
        parts.append(f"{label} {of_runs.mean():.4f}{spread}")
    runs = len(values["MAE"])
    return f"over {runs} run{'s' * (runs > 1)}: {', '.join(parts)}"


def summarise(folder: Path, run_ids: Sequence[int]) -> None:
    """One line a run, then the AUC over the runs: mean and standard deviation."""
    curves = read_tables(folder, run_ids)
    areas = {label: table.mean() for label, table in curves.items()}
    mae, nll = curves["MAE"], curves["NLL"]
    for run in map(str, mae):
        auc = f"AUC of MAE {areas['MAE'][run]:.4f}, of NLL {areas['NLL'][run]:.3f}"
        print(f"{run}: {auc}; final MAE {mae[run].iloc[-1]:.4f}, NLL {nll[run].iloc[-1]:.3f}")
    print(f"AUC {over_runs(areas)}")
    print(f"results: {folder}")


def make_runs(
    args: argparse.Namespace, summarise: Callable[[Path, Sequence[int]], None], **record: Any
) -> int:
    """Makes the runs that were asked for and says what came of them; 1 if one of them is not finished."""
    options = run_options(args)
    experiment = make_experiment(args)
    finished = experiment.run(**options, play=partial(play, args=experiment), **record)
    if finished:
        summarise(experiment.folder(args.runs_folder), finished)
    return int(len(finished) < args.restarts)


def main(arguments: Sequence[str] | None = None) -> int:
    args = parse_arguments(arguments)
    if args.list:
        list_names()
        return 0
    core.AGENTS.name(args.agent)  # an unknown one is refused before the libraries of a run are loaded
    record = {"record_points": bool(args.record_points), "record_predictions": bool(args.record_predictions)}
    return make_runs(args, summarise, **record)


if __name__ == "__main__":
    run_script(main)
