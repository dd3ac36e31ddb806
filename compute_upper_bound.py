"""Trains on the whole train part: the 'full dataset' line of the study's figures.

    python compute_upper_bound.py --dataset pakinsons

The results lie in runs/<Dataset>/UpperBound/, one row an epoch; the last row is the upper bound.
"""

import argparse
import signal
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

# Ctrl-C while the modules below are loaded, which takes seconds, ends without a traceback.
if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import torch

import core
from core import util
from core.cli import ArgumentParser, add_experiment_arguments, at_least, pick_device, run_script, set_threads
from core.config import load_config
from core.runs.groups import run_restarts
from core.runs.layout import check_writable, upper_bound_folder
from core.runs.provenance import RESULTS_VERSION, provenance
from core.runs.tables import read_curves
from core.training.lockstep import Fitting
from core.upper_bound import UpperBound
from core.util import tqdm
from datasets import DATASETS


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = ArgumentParser(
        prog="compute_upper_bound.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_experiment_arguments(parser, restarts=15)
    parser.add("epoch_limit", 1000, "most epochs, for trials", type=at_least(1))
    args = parser.parse_args(arguments)
    if not args.dataset:
        parser.error(f"--dataset is needed, one of {', '.join(DATASETS.classes)}")
    return args


def make_environment(args: argparse.Namespace, run_id: int, device: torch.device) -> UpperBound:
    seeds = core.Seeds(run_id, pool_seed=args.pool_seed, model_seed=args.model_seed)
    dataset = DATASETS[args.dataset](args.data_folder, seeds, skip_data_check=bool(args.skip_data_check))
    config, _ = load_config(args.dataset, args.variation)
    return UpperBound(
        dataset, config, core.PROTOCOLS[args.protocol], device=device, epoch_limit=args.epoch_limit
    )


def make_settings(args: argparse.Namespace) -> dict[str, object]:
    """What all runs of the experiment have in common."""
    config, file = load_config(args.dataset, args.variation)
    names = ("dataset", "variation", "protocol", "skip_data_check", "pool_seed", "model_seed", "epoch_limit")
    shared = {name: getattr(args, name) for name in names}
    unused = ("fitting", "first_epochs", "later_epochs", "patience")
    model = {name: value for name, value in asdict(config).items() if name not in unused}
    return shared | {"config": file.name, "results_version": RESULTS_VERSION} | model


def running(
    args: argparse.Namespace, device: torch.device, run_id: int, log_path: Path, title: str | None
) -> Fitting[None]:
    """One run, from its own seeds alone; a generator for runs side by side."""
    env = make_environment(args, run_id, device)
    settings = make_settings(args) | {
        "run_id": run_id,
        "data_folder": args.data_folder,
        "device": device,
        "threads": args.threads,
    }
    with core.EnvironmentLogger(
        env, log_path, util.is_cluster, settings=settings | provenance(), resume=env.stopping
    ) as logger:
        yield from logger.resetting()
        with tqdm(
            desc=title, disable=title is None, total=args.epoch_limit, initial=env.epoch, miniters=2
        ) as bar:
            while not env.finished:
                yield from logger.stepping(())
                bar.set_postfix({"MAE": logger.accuracies[1][-1]})
                bar.update()


def summarise(folder: Path, run_ids: Sequence[int]) -> None:
    """The metrics after the last epoch: mean and standard deviation over the runs."""
    columns = [f"run_{run_id}" for run_id in run_ids]
    parts = []
    for name, file in (("MAE", "accuracies.csv"), ("NLL", "likelihoods.csv"), ("CRPS", "crps.csv")):
        last = read_curves(folder / file)[columns].ffill().iloc[-1]
        spread = f" +- {last.std():.4f}" if len(columns) > 1 else ""
        parts.append(f"{name} {last.mean():.4f}{spread}")
    print(f"upper bound over {len(columns)} run{'s' * (len(columns) > 1)}: {', '.join(parts)}")
    print(f"results: {folder}")


def main(arguments: Sequence[str] | None = None) -> int:
    args = parse_arguments(arguments)
    args.dataset = DATASETS.name(args.dataset)
    set_threads(args.threads)
    device = pick_device(args.device)
    folder = upper_bound_folder(
        args.runs_folder, DATASETS[args.dataset].folder, args.variation, args.protocol
    )
    settings = make_settings(args)
    check_writable(folder)
    dataset = make_environment(args, args.run_id, device).dataset
    finished = run_restarts(args, folder, settings, dataset, device, partial(running, args, device))
    if finished:
        summarise(folder, finished)
    return int(len(finished) < args.restarts)


if __name__ == "__main__":
    run_script(main)
