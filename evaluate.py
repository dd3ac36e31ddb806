"""Runs one experiment: an agent on a dataset, `--restarts` times.

    python evaluate.py --agent balsa_emd --dataset sarcos --query_size 50

Results go to runs/<Dataset>/<query_size>/<Agent>/; docs/USING.md describes them.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
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
    parser.add("record_points", 0, "1: save the chosen points in selected_points.pt", **flag)
    said = "1: save the last round's predictions for the test rows in predictions.npz"
    parser.add("record_predictions", 0, said, **flag)
    parser.add_argument("--list", action="store_true", help="list agents, datasets and variations, and exit")
    args = parser.parse_args(arguments)
    if not args.list and not (args.agent and args.dataset):
        parser.error("--agent and --dataset are required; --list shows all")
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
    print("  <agent>+dropout05: the agent, its model trained with dropout >= 0.05, like BALD's and BALSA's")
    print("datasets")
    for name, dataset in DATASETS.classes.items():
        unverified = "" if getattr(dataset, "verified", True) else " (unverified)"
        print(f"  {', '.join([name, *DATASETS.aliases(name)]):28}{first_line(dataset)}{unverified}")
    print("variations")
    for variation in VARIATIONS.values():
        print(f"  {variation.name:28}{variation.label}")


def play(env: Any, agent: Any, log_path: Path, experiment: core.Experiment) -> None:
    """One run, from its first fit to its files."""
    dataset, args = env.dataset, argparse.Namespace(query_size=experiment.mean_query_size)
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
    """For each of the study's three metrics, by name, the curves of these runs: a column per run."""
    import pandas as pd

    from core.metrics import METRICS
    from core.runs.files import read_curves

    # From the runs' own folders: another process may be writing the collected files.
    runs = [folder / f"run_{run_id}" for run_id in run_ids]
    names = ("mae", "nll", "crps")
    return {
        name: pd.concat([read_curves(run / METRICS[name].file) for run in runs], axis=1) for name in names
    }


def over_runs(values: Mapping[str, pd.Series]) -> str:
    """The number of runs; the mean and standard deviation of each metric over them."""
    parts = []
    for name, of_runs in values.items():
        spread = f" +- {of_runs.std():.2g}" if len(of_runs) > 1 else ""
        parts.append(f"{name.upper()} {of_runs.mean():.3g}{spread}")
    runs = len(values["mae"])
    return f"over {runs} run{'s' * (runs > 1)}: {', '.join(parts)}"


def beside_random(folder: Path, areas: Mapping[str, pd.Series]) -> str:
    """In how many runs the agent beats `random`; empty if the runs folder has none to compare with."""
    import pandas as pd

    from core.report.leaderboard import runs_won
    from core.report.store import OF_AN_AGENT, TASK, definition, differences
    from core.runs.files import finished_runs, id_of
    from core.runs.settings import read_meta

    random = folder.parent / core.AGENTS["random"].folder
    ids = [id_of(run) for run in finished_runs(random) if run.name in areas["nll"]]
    if folder == random or not ids:
        return ""
    mine, theirs = (definition(read_meta(one / "settings.txt")) for one in (folder, random))
    if differences(mine, theirs).keys() - set(OF_AN_AGENT):
        return ""
    of_random = {name: table.mean() for name, table in read_tables(random, ids).items()}
    both = pd.concat(
        [pd.DataFrame(areas).assign(agent=mine["agent"]), pd.DataFrame(of_random).assign(agent="random")]
    )
    rows = both.rename_axis("run").reset_index().melt(["run", "agent"], var_name="metric", value_name="area")
    won = runs_won(rows.assign(**{name: mine[name] for name in TASK}), mine["agent"])
    return f"{mine['agent']}: {won}"


def summarise(folder: Path, run_ids: Sequence[int]) -> None:
    """Prints a line for each run, the AUC over all, and how many of them beat `random`."""
    curves = read_tables(folder, run_ids)
    areas = {name: table.mean() for name, table in curves.items()}
    mae, nll = curves["mae"], curves["nll"]
    for run in map(str, mae):
        auc = f"AUC of MAE {areas['mae'][run]:.3g}, of NLL {areas['nll'][run]:.3g}"
        print(f"{run}: {auc}; final MAE {mae[run].iloc[-1]:.3g}, NLL {nll[run].iloc[-1]:.3g}")
    print(f"AUC {over_runs(areas)}")
    if verdict := beside_random(folder, areas):
        print(verdict)
    print(f"results: {folder}")


def plan(experiment: core.Experiment, options: Mapping[str, Any]) -> str:
    """What will be run, and how long that should take."""
    from core.runs.files import is_finished
    from core.sweep.cost import in_words

    ids, folder = options["run_ids"], experiment.folder(options["runs_folder"])
    hint = " (use --protocol corrected to compare agents)" if experiment.protocol == "published" else ""
    runs = f"runs {ids[0]} to {ids[-1]}" if len(ids) > 1 else f"run {ids[0]}"
    left = [i for i in ids if options["overwrite"] or not is_finished(folder / f"run_{i}")]
    time = in_words(experiment, len(left)) if options["device"].type == "cpu" else "time unknown"
    return f"{experiment.protocol} protocol{hint}, {runs}, errors on the target scaled to [0, 1], {time}"


def kept(experiment: core.Experiment, options: Mapping[str, Any]) -> str:
    """How many points of interrupted runs were saved."""
    from core.runs.files import read_curves

    folder, ids = experiment.folder(options["runs_folder"]), options["run_ids"]
    files = filter(Path.exists, (folder / f"run_{i}/accuracies.csv" for i in ids))
    points = sum(read_curves(file).index[-1] for file in files)
    again = "the same command, without --overwrite 1," if options["overwrite"] else "the same command"
    if experiment.agent == "full_data":
        return f"{points:,} epochs kept; {again} resumes"
    return f"{points:,} of {len(ids) * experiment.budget:,} points kept; {again} resumes"


def make_runs(args: argparse.Namespace, summarise: Callable[[Path, Sequence[int]], None]) -> int:
    """Makes the runs and prints their results; returns 1 if one of them is not finished."""
    options = run_options(args)
    record: dict[str, Any] = {
        name: bool(asked) for name, asked in vars(args).items() if name.startswith("record_")
    }
    experiment = core.Experiment(**options_of(args))

    @cache
    def announce() -> None:
        print(plan(experiment, options), file=sys.stderr)

    def announced(env: Any, agent: Any, log_path: Path) -> None:
        announce()  # only once all checks have passed
        play(env, agent, log_path, experiment)

    try:
        finished = experiment.run(**options, play=announced, **record)
    except KeyboardInterrupt:
        print(kept(experiment, options), file=sys.stderr)
        raise
    if finished:
        summarise(experiment.folder(args.runs_folder), finished)
    return int(len(finished) < args.restarts)


def main(arguments: Sequence[str] | None = None) -> int:
    args = parse_arguments(arguments)
    if args.list:
        list_names()
        return 0
    core.AGENTS.name(args.agent)  # an unknown agent is refused before slow imports
    return make_runs(args, summarise)


if __name__ == "__main__":
    run_script(main)
