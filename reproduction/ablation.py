"""What each fault of the published code does, on pakinsons, nf, query size 50.

    python reproduction/ablation.py --data_folder ../datasets

The corrected protocol with the published training, which stops after more than five epochs without a new
minimum and keeps its last weights; then, with that training, each other field as published. Runs of each go
to a folder next to `--runs_folder` and are resumed; those of the corrected protocol come from the store.
Fields that an agent does not use are left out. `--out` gets the mean over runs of the area under the curve
(AUC) and of the last value of MAE and NLL, and the mean difference of a run to that of the same id without
the fault, each with its standard error.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import pandas as pd
from project import ROOT

from core import CORRECTED, PROTOCOLS, PUBLISHED, Experiment, Protocol, load_results
from core.cli import ArgumentParser, at_least, run_script
from core.report.load import select

__all__ = ["differences", "numbers"]

TASK = {"dataset": "pakinsons", "variation": "nf", "query_size": 50}
#: The fields that change the model or its training, for every agent. The last one costs a fit a point.
FOR_ALL = ("training", "encoder_relu", "stop_on_log_likelihood", "refit_every_point")
#: Further fields that an agent looks at.
FIELDS = {"random": (), "coreset": ("k_center",), "balsa_kl_pairs": ("grid", "log_space")}


def parse_arguments() -> argparse.Namespace:
    parser = ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add("out", Path("ablation.csv"), "the table", type=Path)
    every = sorted({*FOR_ALL, *(field for fields in FIELDS.values() for field in fields)})
    parser.add_argument("--agents", nargs="+", choices=list(FIELDS), default=list(FIELDS))
    parser.add_argument("--fields", nargs="+", choices=every, default=every)
    parser.add_argument("--restarts", type=at_least(1), default=5)
    parser.add_argument("--data_folder", type=Path, default=Path("../datasets"))
    parser.add_argument("--runs_folder", type=Path, default=Path("runs_ablation"))
    return parser.parse_args()


def name_of(*fields: str) -> str:
    return "-".join(["corrected-but", *fields]).replace("_", "-")


def protocol_of(field: str) -> Protocol:
    fields = dict.fromkeys(("training", field))
    return replace(CORRECTED, name=name_of(*fields), **{name: getattr(PUBLISHED, name) for name in fields})


def numbers(curves: pd.DataFrame) -> pd.DataFrame:
    """AUC and last value of MAE and NLL of each run: `agent`, `protocol`, `run`, `number`, `value`."""
    curves = curves[curves.metric.isin(["mae", "nll"])]
    by = ["agent", "protocol", "run", "metric"]
    values = curves.sort_values("labelled").groupby(by, observed=True)["value"].agg(AUC="mean", last="last")
    tidy = values.rename_axis(columns="kind").stack().rename("value").reset_index()
    tidy["number"] = tidy.kind + " " + tidy.metric.str.upper()
    return tidy[["agent", "protocol", "run", "number", "value"]]


def differences(found: pd.DataFrame) -> pd.DataFrame:
    """Means over runs, and of the differences to the same runs of the reference, with standard errors."""
    short = name_of("training")
    further = found.protocol.str.startswith(short) & (found.protocol != short)
    reference = further.map({True: short, False: "corrected"})
    both = found.assign(reference=reference).merge(
        found,
        left_on=["agent", "run", "number", "reference"],
        right_on=["agent", "run", "number", "protocol"],
        suffixes=("", "_reference"),
    )
    both["difference"] = both.value - both.value_reference
    grouped = both.groupby(["agent", "protocol", "number"], observed=True, sort=False)
    table = grouped[["value", "difference"]].agg(["mean", "sem"])
    table.columns = ["mean", "se", "difference", "se of difference"]
    return table.assign(runs=grouped.size()).reset_index()


def main() -> None:
    """Makes the missing runs and writes the table."""
    args = parse_arguments()
    for field in sorted(args.fields, key=lambda field: field == FOR_ALL[-1]):
        protocol = protocol_of(field)
        PROTOCOLS[protocol.name] = protocol
        for agent in args.agents:
            if field in (*FOR_ALL, *FIELDS[agent]):
                experiment = Experiment(
                    "pakinsons", agent, protocol=protocol.name, data_folder=args.data_folder
                )
                print(experiment, flush=True)
                experiment.run(range(1, args.restarts + 1), args.runs_folder)
    curves = select(load_results(args.runs_folder, ROOT / "results").curves, TASK)
    table = differences(numbers(curves[curves.agent.isin(args.agents)]))
    table.to_csv(args.out, index=False, float_format="%.5f", lineterminator="\n")
    print(table.to_string(index=False, float_format="{:.4f}".format))


if __name__ == "__main__":
    run_script(main)
