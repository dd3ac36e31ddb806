"""Runs one experiment: an agent on a dataset, `--restarts` times.

    python evaluate.py --agent balsa_emd --dataset sarcos --query_size 50

Results go to runs/<Dataset>/<query_size>/<Agent>/; docs/USING.md describes them.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import core
from core import batches, util
from core.cli import pick_device, run_script, set_threads
from core.options import DATA, SEEDS, make_parser, options_of
from core.util import tqdm

if TYPE_CHECKING:
    import pandas as pd


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    names = ("agent", *DATA, "variation", "protocol", "query_size", "budget", *SEEDS, "config", "policy")
    parser = make_parser("evaluate.py", __doc__, names, restarts=50)
    flag: dict[str, Any] = {"type": int, "choices": (0, 1)}
    parser.add("record_points", 0, "1: save the chosen points in selected_points.pt", **flag)
    said = "1: save the last round's predictions for the test rows in predictions.npz"
    parser.add("record_predictions", 0, said, **flag)
    said = "list agents, datasets and variations, and exit"
    parser.add_argument("--list", action="store_true", help=said)
    return parser.parse_args(arguments)


def first_line(thing: object) -> str:
    """The first line of a docstring of a class or module; empty if there is none."""
    return (getattr(thing, "__doc__", None) or "").strip().partition("\n")[0]


def list_names() -> None:
    from core import AGENTS, DATASETS
    from core.agent import SUFFIXES
    from core.models.variations import VARIATIONS

    print("agents")
    for family, agents in groupby(AGENTS.classes.items(), lambda item: sys.modules[item[1].__module__]):
        print(f" {first_line(family) or family.__name__}")  # a file holds a family
        for name, cls in agents:
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
    dataset, rounds = env.dataset, batches.rounds(experiment.query_size, experiment.budget)
    args = argparse.Namespace(query_size=Fraction(experiment.budget, rounds))  # the mean, if they grow
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


def over_runs(values: Mapping[str, pd.Series]) -> str:
    """The number of runs; mean and standard deviation over them of the study's metrics, by run and name."""
    import pandas as pd

    table, parts = pd.DataFrame(values).T, []
    for name in ("mae", "nll", "crps"):
        spread = f" +- {table[name].std():.2g}" if len(table) > 1 else ""
        parts.append(f"{name.upper()} {table[name].mean():.3g}{spread}")
    return f"over {len(table)} run{'s' * (len(table) > 1)}: {', '.join(parts)}"


def beside_random(folder: Path, areas: Mapping[str, pd.Series]) -> str:
    """In how many runs the agent beats `random`; empty if the runs folder has none to compare with."""
    import pandas as pd

    from core.report.leaderboard import runs_won
    from core.report.statistics import versus
    from core.report.store import OF_AN_AGENT, TASK, definition
    from core.runs.files import finished_runs, read_metrics
    from core.runs.settings import differences, read_meta

    random = folder.parent / core.AGENTS["random"].folder
    if folder == random:
        return ""
    theirs = {}
    for run in finished_runs(random):
        if run.name in areas:
            with suppress(core.UserError):  # a damaged run of random is not this agent's
                theirs[run.name] = read_metrics(run).mean()
    if not theirs:
        return ""
    mine, other = (definition(read_meta(one / "settings.txt")) for one in (folder, random))
    if differences(mine, other, OF_AN_AGENT):
        return ""
    both = {mine["agent"]: pd.DataFrame(areas), "random": pd.DataFrame(theirs)}
    table = pd.concat(both, names=["agent", "metric"]).rename_axis(columns="run").stack().rename("area")
    less = versus(table.reset_index().assign(**{name: mine[name] for name in TASK}))
    return f"{mine['agent']}: {runs_won(less, mine['agent'])}"


def summarise(agent: str, folder: Path, run_ids: Sequence[int]) -> None:
    """Prints a line for each run, the AUC over all, and how many beat `random`; of upper bounds, the ends."""
    from core.runs.files import read_metrics

    runs = {f"run_{run_id}": read_metrics(folder / f"run_{run_id}") for run_id in run_ids}
    areas = {run: table.mean() for run, table in runs.items()}
    last = {run: table.iloc[-1] for run, table in runs.items()}
    if agent == "full_data":
        print(f"upper bound {over_runs(last)}")
    else:
        for run, area in areas.items():
            auc = f"AUC of MAE {area['mae']:.3g}, of NLL {area['nll']:.3g}"
            print(f"{run}: {auc}; final MAE {last[run]['mae']:.3g}, NLL {last[run]['nll']:.3g}")
        print(f"AUC {over_runs(areas)}")
        if verdict := beside_random(folder, areas):
            print(verdict)
    print(f"results: {folder}")
    if agent == "oracle":
        print("the oracle sees the test set: it is a rough bound, not an agent")


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
    of_all = "epochs" if experiment.agent == "full_data" else f"of {len(ids) * experiment.budget:,} points"
    return f"{points:,} {of_all} kept; {again} resumes"


def make_runs(args: argparse.Namespace) -> int:
    """Makes the runs and prints their results; returns 1 if one of them is not finished."""
    set_threads(args.threads)
    options: dict[str, Any] = {
        "run_ids": range(args.run_id, args.run_id + args.restarts),
        "runs_folder": args.runs_folder,
        "device": pick_device(args.device),
        "side_by_side": args.side_by_side,
        "overwrite": bool(args.overwrite),
    }
    options |= {name: bool(asked) for name, asked in vars(args).items() if name.startswith("record_")}
    experiment = core.Experiment(**options_of(args))

    @cache
    def announce() -> None:
        print(plan(experiment, options), file=sys.stderr)

    def announced(env: Any, agent: Any, log_path: Path) -> None:
        announce()  # only once all checks have passed
        play(env, agent, log_path, experiment)

    try:
        finished = experiment.run(**options, play=announced)
    except KeyboardInterrupt:
        print(kept(experiment, options), file=sys.stderr)
        raise
    if finished:
        summarise(experiment.agent, experiment.folder(args.runs_folder), finished)
    return int(len(finished) < args.restarts)


def main(arguments: Sequence[str] | None = None) -> int:
    if "--list" in (sys.argv if arguments is None else arguments):  # nothing else is required then
        list_names()
        return 0
    args = parse_arguments(arguments)
    core.AGENTS.name(args.agent)  # an unknown agent is refused before slow imports
    return make_runs(args)


if __name__ == "__main__":
    run_script(main)
