"""Times one refit of 11 epochs, and one test, beside the straightforward way, early in a run.

    python benchmarks/fit.py --datasets pakinsons --labelled 250 --out fit.csv

Sizes are those of the datasets, contents random. CPU seconds are those of one thread. 11 epochs
are the mean of the published code.
"""

import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import baseline
import torch
from measure import compare, write_table

from core import PUBLISHED, Seeds
from core.classifier import Classifier
from core.cli import ArgumentParser, at_least, run_script, set_threads
from core.config import load_config
from core.metrics import evaluate
from core.models import build_model
from core.training import Trainer

#: Features, validation rows and test rows (SPEC.md section 1).
TASKS = {
    "pakinsons": (61, 940, 1_175),
    "superconductors": (81, 3_402, 4_253),
    "sarcos": (21, 7_117, 8_897),
    "diamonds": (26, 8_630, 10_788),
}
EPOCHS = 11
COLUMNS = ("dataset", "labelled", "part", "seconds", "baseline seconds", "ratio")


def parse_arguments():
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--labelled", nargs="+", type=at_least(64), default=[250, 1000])
    parser.add_argument("--repeats", type=at_least(1), default=5)
    parser.add_argument("--out", type=Path, default=Path("fit.csv"))
    return parser.parse_args()


def measure(dataset: str, labelled: int, repeats: int):
    """A line of the table for the refit, and one for the test."""
    features, validation, test = TASKS[dataset]
    seeds = Seeds()
    generator = torch.Generator().manual_seed(1)
    rows = labelled + validation + test
    x, y = torch.rand(rows, features, generator=generator), torch.rand(rows, generator=generator)
    x, x_val, x_test = x.split([labelled, validation, test])
    y, y_val, y_test = y.split([labelled, validation, test])

    config, _ = load_config(dataset, "nf")
    config = replace(config, first_epochs=EPOCHS, later_epochs=EPOCHS, patience=EPOCHS)
    model = build_model(config, features, PUBLISHED.encoder_relu, [seeds.torch("init")])
    trainer = Trainer(model, config, PUBLISHED, seeds)
    classifier, evaluation = Classifier(model), seeds.torch("evaluation")

    plain = baseline.Model(features, config.dropout)
    optimizer = torch.optim.NAdam(plain.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    parts = {
        "refit": {
            "ours": lambda: trainer.fit(x, y, x_val, y_val),
            "baseline": lambda: baseline.fit(plain, optimizer, x, y, x_val, y_val, EPOCHS),
        },
        "test": {
            "ours": lambda: evaluate(classifier, x_test, y_test, evaluation),
            "baseline": lambda: baseline.test(plain, x_test, y_test),
        },
    }
    for part, calls in parts.items():
        cost = compare(calls, repeats)
        ours, theirs = cost["ours"].seconds, cost["baseline"].seconds
        yield dataset, labelled, part, f"{ours:.3g}", f"{theirs:.3g}", f"{theirs / ours:.3g}"


def main():
    args = parse_arguments()
    set_threads(1)
    torch.manual_seed(1)  # the baseline draws from the global generator
    cases = product(args.datasets, args.labelled)
    write_table(args.out, COLUMNS, (line for case in cases for line in measure(*case, args.repeats)))


if __name__ == "__main__":
    run_script(main)
