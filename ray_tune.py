"""Searches for learning rate, weight decay and dropout of a dataset's model, with Ray Tune.

    python ray_tune.py --dataset pakinsons --trials 50

Trials are judged by the validation NLL alone. The folder `--out` gets a table of them, and the best trial's
values as a configuration like those in configs/. See docs/TUNING.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from core import util
from core.cli import ArgumentParser, add_ray_arguments, at_least, run_script
from core.config import Config
from core.errors import UserError, check_known
from core.files import check_writable, write_file
from core.options import DATA, add_options, options_of
from core.protocol import PROTOCOLS, Protocol

if TYPE_CHECKING:
    import pandas as pd

SEARCHED = ["lr", "weight_decay", "dropout"]


def trial(
    values: dict[str, Any], subsets: list[Any], config: Config, protocol: Protocol, device: str, threads: int
) -> None:
    """Tries `values`: reports the validation NLL of each size of the labelled set, and their mean."""
    from ray import tune

    from core.cli import set_threads
    from core.training.tuning import validation_nll

    set_threads(threads)
    config = replace(config, **values)
    first, last = (validation_nll(of_size, config, protocol, device) for of_size in subsets)
    tune.report({"validation_nll": (first + last) / 2, "nll_first": first, "nll_last": last})


def search(args: argparse.Namespace, config: Config, subsets: list[Any]) -> pd.DataFrame:
    """A row for each trial, the best first; a UserError if all have failed."""
    import optuna
    import pandas as pd
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    device = "cuda" if args.gpus else "cpu"
    common = {"config": config, "protocol": PROTOCOLS[args.protocol], "device": device, "threads": args.cpus}
    with util.tqdm(total=args.trials, desc="trials") as bar, tempfile.TemporaryDirectory() as folder:

        class Progress(tune.Callback):
            def on_trial_complete(self, *args: Any, **info: Any) -> None:
                bar.update()

            on_trial_error = on_trial_complete

        trainable = tune.with_parameters(trial, subsets=subsets, **common)
        grid: Any = tune.Tuner(
            tune.with_resources(trainable, {"cpu": args.cpus, "gpu": args.gpus}),
            param_space={
                "lr": tune.loguniform(3e-4, 1e-2),
                "weight_decay": tune.loguniform(1e-5, 3e-2),
                "dropout": tune.uniform(0, 0.1),
            },
            tune_config=tune.TuneConfig(
                metric="validation_nll",
                mode="min",
                search_alg=OptunaSearch(seed=args.seed),
                num_samples=args.trials,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(storage_path=folder, verbose=0, callbacks=[Progress()]),
        ).fit()
    if grid.errors:
        reason = str(grid.errors[0]).strip().splitlines()[-1]
        if len(grid.errors) == len(grid):
            raise UserError(f"all trials have failed: {reason}")
        print(f"note: {len(grid.errors)} of {len(grid)} trials have failed: {reason}", file=sys.stderr)
    made = [result for result in grid if result.error is None]
    table = pd.DataFrame([{**result.metrics, **result.config} for result in made])
    table = table.rename(columns={"time_total_s": "seconds"}).round({"seconds": 2})
    columns = ["validation_nll", *SEARCHED, "nll_first", "nll_last", "seconds"]
    return table.sort_values("validation_nll", kind="stable", ignore_index=True)[columns]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = ArgumentParser(prog="ray_tune.py", description=__doc__)
    add_options(parser, (*DATA, "variation", "protocol"), protocol="corrected")
    parser.add("trials", 50, "values to try", type=at_least(1))
    parser.add("seed", 1, "seed of the search", type=at_least(0))
    parser.add("out", Path("tuned"), "folder for the table and the configuration", type=Path)
    add_ray_arguments(parser)
    args = parser.parse_args(arguments)

    from core.experiment import Experiment
    from core.models.variations import VARIATIONS
    from core.sweep import driver
    from core.training.tuning import RUNS, make_subsets

    networks = [name for name, kind in VARIATIONS.items() if not (kind.ensemble or kind.regressor)]
    check_known("variation", args.variation, networks)
    experiment = Experiment(agent="full_data", **options_of(args))
    if (args.address or "").startswith("ray://"):
        raise UserError("Ray Tune does not work over ray://; type this on the cluster, with --address auto")
    # Turn off Tune's handling of Ctrl-C, its files for other tools, and its output.
    os.environ |= {"TUNE_DISABLE_SIGINT_HANDLER": "1", "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1"}
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    check_writable(args.out)
    subsets = make_subsets(experiment.dataset_class, args.data_folder, experiment.skip_data_check)
    util.tqdm.unattended = util.is_cluster
    with driver.connected(args.address, "optuna", "ray.tune"):
        table = search(args, experiment.hyperparameters, subsets)
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"{experiment.dataset_name}{VARIATIONS[args.variation].suffix}.yaml"
    trials = path.with_name(f"{path.stem}_trials.csv")
    best = {key: float(table[key][0]) for key in SEARCHED}
    write_file(trials, lambda part: table.to_csv(part, index=False))
    write_file(path, lambda part: part.write_text(yaml.safe_dump(best, sort_keys=False)))
    shown = ", ".join(f"{key} {value:.3g}" for key, value in best.items())
    lowest = f"{table['validation_nll'][0]:.4f} with {shown}"
    print(f"lowest mean validation NLL over the first and last fits of {len(RUNS)} runs: {lowest}")
    print(f"configuration and table: {path}, {trials}")
    return 0


if __name__ == "__main__":
    run_script(main)
