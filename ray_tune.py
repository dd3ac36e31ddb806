"""Searches for learning rate, weight decay and dropout of a dataset's model, with Ray Tune.

    python ray_tune.py --dataset pakinsons --trials 50

Trials are judged by the validation NLL alone. `--out` gets a table of them and a configuration like
those in configs/, with the best trial's values; docs/TUNING.md says more.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from core import DATASETS, util
from core.cli import (
    ArgumentParser,
    add_ray_arguments,
    at_least,
    run_script,
)
from core.data.own import find_dataset, is_own
from core.errors import UserError, check_known
from core.files import write_file
from core.options import DATA, add_options
from core.protocol import PROTOCOLS

if TYPE_CHECKING:
    import pandas as pd

#: What is searched: lowest and highest value, and whether evenly on a logarithmic scale.
RANGES = {"lr": (3e-4, 1e-2, True), "weight_decay": (1e-5, 3e-2, True), "dropout": (0.0, 0.1, False)}


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = ArgumentParser(
        prog="ray_tune.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser, (*DATA, "variation", "protocol"), protocol="corrected")
    parser.add("trials", 50, "values to try", type=at_least(1))
    parser.add("seed", 1, "seed of the search", type=at_least(0))
    parser.add("out", Path("tuned"), "folder for the table and the configuration", type=Path)
    add_ray_arguments(parser)
    args = parser.parse_args(arguments)
    if not args.dataset:
        parser.error(f"--dataset is needed, one of {', '.join(DATASETS.classes)}")
    return args


def search(ray: Any, args: argparse.Namespace, config: dict[str, Any], subsets: list[Any]) -> Any:
    """The trials, as Ray Tune's grid of results."""
    import optuna
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    from core.runs.settings import provenance
    from core.sweep import driver, task

    optuna.logging.set_verbosity(optuna.logging.WARNING)

    class Bar(tune.Callback):
        bar = util.tqdm(total=args.trials, desc="trials")

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            self.bar.update()

        on_trial_error = on_trial_complete

        def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
            self.bar.close()

    ray.cloudpickle.register_pickle_by_value(task)
    common = task.Search(
        root=str(driver.ROOT),
        state=provenance()["code"],
        config=config,
        protocol=args.protocol,
        device="cuda" if args.gpus else "cpu",
        threads=args.cpus,
    )
    code = task.code_files(driver.ROOT)
    trial = tune.with_parameters(task.run_trial, search=common, code=code, subsets=subsets)
    space = {name: (tune.loguniform if log else tune.uniform)(*ends) for name, (*ends, log) in RANGES.items()}
    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            tune.with_resources(trial, {"cpu": args.cpus, "gpu": args.gpus}),
            param_space=space,
            tune_config=tune.TuneConfig(
                metric="validation_nll",
                mode="min",
                search_alg=OptunaSearch(seed=args.seed),
                num_samples=args.trials,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(storage_path=folder, verbose=0, callbacks=[Bar()]),
        )
        return tuner.fit()


def make_table(grid: Any) -> pd.DataFrame:
    """A row for each trial, the best first.

    Raises:
        UserError: all have failed.
    """
    import pandas as pd

    rows = [
        {
            "validation_nll": result.metrics["validation_nll"],
            **{name: result.config[name] for name in RANGES},
            "nll_first": result.metrics["nll_first"],
            "nll_last": result.metrics["nll_last"],
            "seconds": round(result.metrics["time_total_s"], 2),
        }
        for result in grid
        if result.metrics and "validation_nll" in result.metrics
    ]
    if grid.errors:
        reason = str(grid.errors[0]).strip().splitlines()[-1]
        if not rows:
            raise UserError(f"all trials have failed: {reason}")
        print(f"note: {len(grid.errors)} of {len(grid)} trials have failed: {reason}", file=sys.stderr)
    return pd.DataFrame(rows).sort_values("validation_nll", kind="stable", ignore_index=True)


def write(args: argparse.Namespace, table: pd.DataFrame) -> Path:
    """Writes the table and, beside it, the best values, whose path it returns."""
    from core.models.variations import VARIATIONS

    args.out.mkdir(parents=True, exist_ok=True)
    name = args.dataset + VARIATIONS[args.variation].suffix
    write_file(args.out / f"{name}_trials.csv", lambda path: table.to_csv(path, index=False))
    text = yaml.safe_dump({key: float(table[key][0]) for key in RANGES}, sort_keys=False)
    write_file(args.out / f"{name}.yaml", lambda path: path.write_text(text))
    return args.out / f"{name}.yaml"


def main(arguments: Sequence[str] | None = None) -> int:
    args = parse_arguments(arguments)

    from core.files import check_writable
    from core.models.variations import VARIATIONS, load_config
    from core.sweep import driver
    from core.training.tuning import RUNS, make_subsets

    single = [name for name, variation in VARIATIONS.items() if not variation.ensemble]
    check_known("variation", args.variation, single)
    data = find_dataset(args.dataset, args.target, args.seed_set, args.data_folder)
    args.dataset = data.folder if is_own(args.dataset) else DATASETS.name(args.dataset)
    # Not wanted: Tune's way with Ctrl-C, the files that it writes for other tools, what it prints.
    os.environ |= {"TUNE_DISABLE_SIGINT_HANDLER": "1", "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1"}
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    driver.load_ray(args.address, "optuna", "ray.tune")
    if (args.address or "").startswith("ray://"):
        raise UserError("Ray Tune does not work over ray://; type this on the cluster, with --address auto")
    check_writable(args.out)
    config = asdict(load_config(args.dataset, args.variation, PROTOCOLS[args.protocol]))
    subsets = make_subsets(data, args.data_folder, bool(args.skip_data_check))
    util.tqdm.unattended = util.is_cluster
    with driver.connected(args.address) as ray:
        table = make_table(search(ray, args, config, subsets))
    path = write(args, table)
    best = ", ".join(f"{name} {table[name][0]:.3g}" for name in RANGES)
    lowest = f"{table['validation_nll'][0]:.4f} with {best}"
    print(f"lowest mean validation NLL over the first and last fits of {len(RUNS)} runs: {lowest}")
    print(f"configuration and table: {path}, {path.with_name(path.stem + '_trials.csv')}")
    return 0


if __name__ == "__main__":
    run_script(main)
