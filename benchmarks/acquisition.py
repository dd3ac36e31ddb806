"""Times every agent's choice of one point, beside the straightforward way, early in a run.

    python benchmarks/acquisition.py --datasets pakinsons --out acquisition.csv

Pools have the size of the real ones and random content; the weights are random. CPU seconds are
those of one thread. The table in `--out` grows by a line an agent and dataset.
"""

import sys
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import baseline
import torch
from measure import compare, write_table

from agents import AGENTS
from core import PUBLISHED, Seeds
from core.classifier import Classifier
from core.cli import ArgumentParser, at_least, run_script, set_threads
from core.config import load_config
from core.models import build_model
from core.state import State

#: Features and pool early in a run (SPEC.md section 1).
TASKS = {
    "pakinsons": (61, 3_560),
    "superconductors": (81, 13_408),
    "sarcos": (21, 28_270),
    "diamonds": (26, 34_322),
}
LABELLED = 200
NAMES = (
    *("coreset", "typiclust", "coregcn", "bald", "bald_dist_entropy", "bald_dist_std"),
    *("nflows_out", "balsa_kl_pairs", "balsa_kl_grid", "balsa_emd"),
)
COLUMNS = ("dataset", "agent", "candidates", "seconds", "MB", "baseline seconds", "baseline MB", "ratio")


def parse_arguments():
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--agents", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--repeats", type=at_least(1), default=5)
    parser.add_argument("--out", type=Path, default=Path("acquisition.csv"))
    return parser.parse_args()


def random_state(dataset: str) -> State:
    """A pool of the dataset's size, and an untrained model."""
    features, pool = TASKS[dataset]
    generator = torch.Generator().manual_seed(1)
    config = AGENTS["balsa_emd"].inject_config(load_config(dataset, "nf")[0])
    model = build_model(config, features, PUBLISHED.encoder_relu, [generator])
    x = torch.rand(pool + LABELLED, features, generator=generator)
    y = torch.rand(LABELLED, generator=generator)
    optimizer = torch.optim.NAdam(model.parameters())
    return State(x[:pool], x[pool:], y, {}, 800, 0, 1.0, 1.0, Classifier(model), optimizer)


def measure(dataset: str, name: str, repeats: int) -> tuple:
    state = random_state(dataset)
    agent = AGENTS[name](1, Seeds())
    candidates = min(agent.candidates, len(state.x_unlabeled))
    plain = baseline.Model(state.x_unlabeled.shape[1], 0.05)
    x, labelled = state.x_unlabeled[:candidates], state.x_labeled
    calls = {
        "ours": lambda: agent.predict(state),
        "baseline": lambda: getattr(baseline, name)(plain, x, labelled),
    }
    cost = compare(calls, repeats)
    ours, theirs = cost["ours"], cost["baseline"]
    ratio = theirs.seconds / ours.seconds
    numbers = (ours.seconds, ours.megabytes, theirs.seconds, theirs.megabytes, ratio)
    return (dataset, name, candidates, *(f"{number:.3g}" for number in numbers))


def main():
    args = parse_arguments()
    set_threads(1)
    torch.manual_seed(1)  # the baseline draws from the global generator
    cases = product(args.datasets, args.agents)
    write_table(args.out, COLUMNS, (measure(*case, args.repeats) for case in cases))


if __name__ == "__main__":
    run_script(main)
