"""Runs one experiment: an agent on a dataset, once for each restart.

    python evaluate.py --agent balsa_emd --dataset sarcos --query_size 50

The results lie in runs/<Dataset>/<query_size>/<Agent>/; README.md describes them.
"""

import argparse
import math
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
from agents import AGENTS
from core import util
from core.cli import ArgumentParser, add_experiment_arguments, at_least, pick_device, run_script, set_threads
from core.config import Config, load_config
from core.metrics import METRICS
from core.runs.collecting import auc
from core.runs.groups import run_restarts
from core.runs.layout import check_writable, experiment_folder
from core.runs.provenance import RESULTS_VERSION, provenance
from core.runs.tables import read_curves
from core.training.lockstep import Fitting
from core.util import tqdm
from datasets import DATASETS


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = ArgumentParser(
        prog="evaluate.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add("agent", None, "name of an agent")
    add_experiment_arguments(parser, restarts=50)
    parser.add("query_size", 50, "points chosen in each round", type=at_least(1))
    parser.add("agent_seed", 1, "seed of the agent and its candidates", type=at_least(0))
    parser.add(
        "record_points", 0, "1: keep the chosen points in selected_points.pt", type=int, choices=(0, 1)
    )
    parser.add(
        "record_predictions",
        0,
        "1: keep what the last round's model says of each test row in predictions.npz",
        type=int,
        choices=(0, 1),
    )
    parser.add(
        "budget", None, "points to add instead of the dataset's own number, for trials", type=at_least(1)
    )
    parser.add_argument("--list", action="store_true", help="list agents and datasets, and exit")
    args = parser.parse_args(arguments)
    if not args.list and not (args.agent and args.dataset):
        parser.error("--agent and --dataset are needed; --list shows what there is")
    return args


def list_names() -> None:
    for registry in (AGENTS, DATASETS):
        print(f"{registry.kind}s")
        for name, cls in registry.classes.items():
            names = ", ".join([name, *registry.aliases(name)])
            print(f"  {names:28}{(cls.__doc__ or '').splitlines()[0]}")


def make_dataset(args: argparse.Namespace, seeds: core.Seeds) -> core.Dataset:
    return DATASETS[args.dataset](args.data_folder, seeds, skip_data_check=bool(args.skip_data_check))


def make_config(args: argparse.Namespace) -> tuple[Config, dict[str, object]]:
    """The experiment's configuration, and its settings: what all its runs have in common."""
    config, file = load_config(args.dataset, args.variation)
    config = AGENTS[args.agent].inject_config(config)
    shared = ("agent", "dataset", "variation", "protocol", "query_size", "skip_data_check")
    settings = {name: getattr(args, name) for name in (*shared, "agent_seed", "pool_seed", "model_seed")}
    settings |= {"budget": args.budget or DATASETS[args.dataset].budget, "config": file.name}
    settings["results_version"] = RESULTS_VERSION
    return config, settings | asdict(config)


def prepare(args: argparse.Namespace) -> tuple[Path, dict[str, object], core.Dataset]:
    """The experiment's folder, settings and data, after all that can be known beforehand is checked.

    Raises:
        UserError: an argument does not fit another, or the folder cannot be written.
    """
    agent, dataset = AGENTS[args.agent], DATASETS[args.dataset]
    if args.variation not in agent.variations:
        raise core.UserError(f"agent '{args.agent}' needs --variation {' or '.join(agent.variations)}")
    config, settings = make_config(args)
    if args.query_size > settings["budget"]:
        budget = settings["budget"]
        raise core.UserError(f"--query_size {args.query_size} is more than the budget of {budget} points")
    folder = experiment_folder(
        args.runs_folder, dataset.folder, args.query_size, agent.folder, args.variation, args.protocol
    )
    check_writable(folder)
    data = make_dataset(args, core.Seeds())
    core.Environment(data, config, budget=args.budget)
    return folder, settings, data


def running(
    args: argparse.Namespace, device: torch.device, run_id: int, log_path: Path, title: str | None
) -> Fitting[None]:
    """One run, from its own seeds alone: the published loop, as a generator for runs side by side.

    Args:
        title: what its progress bar says; None for no bar.
    """
    protocol = core.PROTOCOLS[args.protocol]
    seeds = core.Seeds(run_id, args.agent_seed, args.pool_seed, args.model_seed)
    agent = AGENTS[args.agent](args.query_size, seeds, protocol)
    config, settings = make_config(args)
    settings |= {"run_id": run_id, "data_folder": args.data_folder, "device": device, "threads": args.threads}
    dataset = make_dataset(args, seeds)
    env = core.Environment(dataset, config, protocol, device=device, budget=args.budget)
    with core.EnvironmentLogger(
        env,
        log_path,
        util.is_cluster,
        record_points=bool(args.record_points),
        record_predictions=bool(args.record_predictions),
        settings=settings | provenance(),
        resume=agent,
    ) as env:
        done = False
        dataset.reset()
        state = yield from env.resetting()
        iterations = math.ceil(env.env.budget / args.query_size)
        first = math.ceil(env.env.added / args.query_size)
        iterator = tqdm(
            range(first, iterations),
            miniters=2,
            desc=title,
            disable=title is None,
            initial=first,
            total=iterations,
        )
        for i in iterator:
            action = agent.predict(*state)
            state, reward, done, truncated, info = yield from env.stepping(action)
            iterator.set_postfix({"MAE": env.accuracies[1][-1]})
            if done or truncated:
                # triggered when sampling batch_size is >1
                break


def summarise(folder: Path, run_ids: list[int]) -> None:
    """One line a run, then the AUC over the runs: mean and standard deviation."""
    columns = [f"run_{run_id}" for run_id in run_ids]
    shown = [METRICS[name] for name in ("mae", "nll", "crps")]
    curves = {metric.name: read_curves(folder / metric.file)[columns] for metric in shown}
    areas_of = {name: auc(table) for name, table in curves.items()}
    mae, nll = curves["mae"], curves["nll"]
    for run in columns:
        areas = f"AUC of MAE {areas_of['mae'][run]:.4f}, of NLL {areas_of['nll'][run]:.3f}"
        print(f"{run}: {areas}; final MAE {mae[run].iloc[-1]:.4f}, NLL {nll[run].iloc[-1]:.3f}")
    parts = []
    for metric in shown:
        area = areas_of[metric.name]
        spread = f" +- {area.std():.4f}" if len(columns) > 1 else ""
        parts.append(f"{metric.label} {area.mean():.4f}{spread}")
    print(f"AUC over {len(columns)} run{'s' * (len(columns) > 1)}: {', '.join(parts)}")
    print(f"results: {folder}")


def main(arguments: Sequence[str] | None = None) -> int:
    args = parse_arguments(arguments)
    if args.list:
        list_names()
        return 0
    args.agent, args.dataset = AGENTS.name(args.agent), DATASETS.name(args.dataset)
    set_threads(args.threads)
    device = pick_device(args.device)
    folder, settings, data = prepare(args)
    finished = run_restarts(args, folder, settings, data, device, partial(running, args, device))
    if finished:
        summarise(folder, finished)
    return int(len(finished) < args.restarts)


if __name__ == "__main__":
    run_script(main)
