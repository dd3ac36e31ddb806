"""Runs one experiment: an agent on a dataset, once for each restart.

    python evaluate.py --agent balsa_emd --dataset sarcos --query_size 50

The results lie in runs/<Dataset>/<query_size>/<Agent>/; README.md describes them.
"""

import argparse
import math
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

# Ctrl-C while the modules below are loaded, which takes seconds, ends without a traceback.
if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import joblib
import psutil
import torch

import core
from agents import AGENTS
from core import results, util
from core.cli import ArgumentParser, at_least, pick_device, run_script, set_threads
from core.config import VARIATIONS, Config, load_config
from core.provenance import RESULTS_VERSION, provenance
from core.training import Fitting, side_by_side
from core.util import tqdm
from datasets import DATASETS


def auto_or_count(text: str) -> int | str:
    return text if text == "auto" else at_least(1)(text)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = ArgumentParser(
        prog="evaluate.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    def add(name: str, default: object, text: str, **kwargs: object) -> None:
        shown = "" if default is None else f" (default: {default})"
        parser.add_argument(f"--{name}", default=default, help=text + shown, **kwargs)

    add("agent", None, "name of an agent")
    add("dataset", None, "name of a dataset")
    add("data_folder", Path("../datasets"), "where dataset files lie, or are downloaded to", type=Path)
    add("query_size", 50, "points chosen in each round", type=at_least(1))
    add("run_id", 1, "id of the first run", type=at_least(0))
    add("restarts", 50, "number of runs, of increasing ids", type=at_least(1))
    add("side_by_side", "auto", "runs that are trained as one stack, in one process", type=auto_or_count)
    add("agent_seed", 1, "seed of the agent and its candidates", type=at_least(0))
    add("pool_seed", 1, "seed of validation part and seed set", type=at_least(0))
    add("model_seed", 1, "seed of initial weights, dropout and evaluation", type=at_least(0))
    add("variation", "nf", "the model", choices=VARIATIONS)
    add("protocol", "published", "what the published code does, or its method", choices=list(core.PROTOCOLS))
    add("record_points", 0, "1: keep the chosen points in selected_points.pt", type=int, choices=(0, 1))
    add("device", "auto", "auto, cpu, cuda, cuda:1, ...")
    add("threads", 1, "threads of this process", type=at_least(1))
    add("runs_folder", Path("runs"), "where the results go", type=Path)
    add("budget", None, "points to add instead of the dataset's own number, for trials", type=at_least(1))
    add("overwrite", 0, "1: make runs anew that are there", type=int, choices=(0, 1))
    add("skip_data_check", 0, "1: go on with a table that is not the published one", type=int, choices=(0, 1))
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


def prepare(args: argparse.Namespace) -> tuple[Path, core.Dataset]:
    """The experiment's folder and data, after all that can be known before the first run is checked.

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
    folder = results.experiment_folder(
        args.runs_folder, dataset.folder, args.query_size, agent.folder, args.variation, args.protocol
    )
    results.check_writable(folder)
    data = make_dataset(args, core.Seeds())
    core.Environment(data, config, budget=args.budget)
    run_ids = range(args.run_id, args.run_id + args.restarts)
    results.check_settings(folder, settings, run_ids, bool(args.overwrite))
    if str(settings["config"]).startswith("default"):
        print(f"note: no configs/{args.dataset}.yaml, {settings['config']} is used", file=sys.stderr)
    return folder, data


def group_size(args: argparse.Namespace, dataset: core.Dataset, device: torch.device) -> int:
    """Runs to do side by side; what `auto` stands for is said on stderr.

    `auto` makes even groups of at most 25, by when nearly all is gained. Every core may have a
    process like this one: half of the free memory is divided among them.
    """
    if args.side_by_side != "auto":
        return min(args.side_by_side, args.restarts)
    parts = (dataset.x_train, dataset.x_val, dataset.x_test)
    # The data, a copy of them in the stack, and the pieces that validation works on.
    bytes_per_run = 3 * sum(part.nbytes for part in parts) + 32 * 2**20
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
    else:
        free = psutil.virtual_memory().available
    processes = max(1, joblib.cpu_count() // args.threads)
    most = max(1, min(25, free // 2 // processes // bytes_per_run))
    groups = math.ceil(args.restarts / most)
    size = math.ceil(args.restarts / groups)
    if args.restarts > 1:
        print(f"note: {size} runs side by side, {groups} group{'s' * (groups > 1)}", file=sys.stderr)
    return size


def running(
    args: argparse.Namespace, run_id: int, log_path: Path, device: torch.device, title: str | None
) -> Fitting[bool]:
    """One run, from its own seeds alone; a generator for `side_by_side`.

    Args:
        title: what its progress bar says; None for no bar.

    Returns:
        Whether the run is finished, now or before; False if another process is at it.
    """
    with results.claimed(log_path) as mine:
        if not mine:
            print(f"{log_path.name}: another process is at it", file=sys.stderr)
            return False
        if args.overwrite:
            results.discard(log_path)
        if results.is_finished(log_path):
            if args.record_points and not (log_path / "selected_points.pt").exists():
                raise core.UserError(
                    f"{log_path} was made without --record_points 1: --overwrite 1 makes it anew"
                )
            print(f"{log_path.name}: finished already (--overwrite 1 makes it anew)", file=sys.stderr)
            return True
        yield from going(args, run_id, log_path, device, title)
        return True


def going(
    args: argparse.Namespace, run_id: int, log_path: Path, device: torch.device, title: str | None
) -> Fitting[None]:
    """`running`, where there is something to do."""
    protocol = core.PROTOCOLS[args.protocol]
    seeds = core.Seeds(run_id, args.agent_seed, args.pool_seed, args.model_seed)
    agent = AGENTS[args.agent](args.query_size, seeds, protocol)
    config, settings = make_config(args)
    settings |= {"run_id": run_id, "data_folder": args.data_folder, "device": device, "threads": args.threads}
    dataset = make_dataset(args, seeds)
    env = core.Environment(dataset, config, protocol, device=device, budget=args.budget)
    points = bool(args.record_points)
    with core.EnvironmentLogger(
        env, log_path, util.is_cluster, record_points=points, settings=settings | provenance(), resume=agent
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
    curves = {file: results.read_curves(folder / file)[columns] for file in results.FILES}
    auc = {file: results.auc(table) for file, table in curves.items()}
    mae, nll = curves["accuracies.csv"], curves["likelihoods.csv"]
    for run in columns:
        areas = f"AUC of MAE {auc['accuracies.csv'][run]:.4f}, of NLL {auc['likelihoods.csv'][run]:.3f}"
        print(f"{run}: {areas}; final MAE {mae[run].iloc[-1]:.4f}, NLL {nll[run].iloc[-1]:.3f}")
    parts = []
    for name, file in (("MAE", "accuracies.csv"), ("NLL", "likelihoods.csv"), ("CRPS", "crps.csv")):
        spread = f" +- {auc[file].std():.4f}" if len(columns) > 1 else ""
        parts.append(f"{name} {auc[file].mean():.4f}{spread}")
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
    folder, data = prepare(args)
    run_ids = range(args.run_id, args.run_id + args.restarts)
    size = group_size(args, data, device)
    finished = []
    for first in range(0, len(run_ids), size):
        group = run_ids[first : first + size]
        title = f"run_{group[0]}" + f" to run_{group[-1]}" * (len(group) > 1)
        runs = [
            running(args, run_id, folder / f"run_{run_id}", device, title if run_id == group[0] else None)
            for run_id in group
        ]
        for i, ended in side_by_side(runs):
            if ended is True:
                finished.append(group[i])
            elif isinstance(ended, FloatingPointError):
                print(f"evaluate.py: run_{group[i]}: {ended}", file=sys.stderr)
            elif isinstance(ended, Exception):
                raise ended
    if finished:
        summarise(folder, sorted(finished))
    return int(len(finished) < len(run_ids))


if __name__ == "__main__":
    run_script(main)
