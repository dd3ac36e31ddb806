"""Times refits of groups of runs, and choices, on a CUDA device.

    python benchmarks/gpu.py --data_folder ../datasets --out gpu.csv

Wall-clock seconds: per run for refits of 11 epochs at 1,000 labels, in groups of 1, 25 and 100 runs, with
CUDA graphs and without ('launched'); for each agent's choice of one point. Without a data folder the tables
have random content of the real size. What is in `--out` already is not measured again.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import torch
from measure import compare, digits, write_table
from tasks import make_table, make_task_parser

from agents import AGENTS
from core import PUBLISHED, Seeds
from core.cli import at_least, pick_device, run_script, set_threads
from core.environment import Environment
from core.models.variations import load_config
from core.training.cuda_graph import GraphedStep
from core.training.trainer import make_trainer, train_stack

EPOCHS, LABELLED = 11, 1000
COLUMNS = ("dataset", "part", "device", "clock")


def waited(call: Callable[[], object], device: torch.device) -> None:
    """The call, which waits for the device."""
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def refit(dataset: str, runs: int, args: Any) -> Callable[[], object]:
    """A refit of a group of runs."""
    fixed: dict[str, Any] = {"first_epochs": EPOCHS, "later_epochs": EPOCHS, "patience": EPOCHS}
    config = replace(load_config(dataset, "nf"), **fixed)
    group = []
    for run_id in range(runs):
        table = make_table(dataset, args.data_folder, Seeds(run_id))
        parts = (table.x_train[:LABELLED], table.y_train[:LABELLED], table.x_val, table.y_val)
        data = [torch.from_numpy(part).to(args.device) for part in parts]
        group.append(
            (make_trainer(table.x_train.shape[1], config, PUBLISHED, table.seeds, args.device), data)
        )
    return lambda: train_stack([trainer.request(*data) for trainer, data in group])


def main() -> None:
    parser = make_task_parser(__doc__, "gpu.csv")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--groups", nargs="+", type=at_least(1), default=[1, 25, 100])
    parser.add_argument("--agents", nargs="*", choices=AGENTS.classes, default=list(AGENTS.classes))
    args = parser.parse_args()
    args.device = pick_device(args.device)
    set_threads(1)

    def measure(dataset: str, part: str, _: str) -> Iterator[tuple[object, ...]]:
        kind, what = part.split()
        GraphedStep.captures = kind != "launched"
        if kind != "choice":
            call, share = refit(dataset, int(what), args), int(what)
        else:
            variation = AGENTS[what].variations[0]
            config = AGENTS["balsa_emd"].inject_config(load_config(dataset, variation))
            table = make_table(dataset, args.data_folder, Seeds())
            env = Environment(table, config, PUBLISHED, device=args.device)
            env.reset()
            agent, share = AGENTS[what](1, env.seeds, env.protocol), 1
            call = partial(agent.predict, env.state)
        waited(call, args.device)  # the first call loads and compiles
        cost = compare({part: partial(waited, call, args.device)}, args.repeats)[part]
        yield dataset, part, args.device, digits(cost.wall_seconds / share)

    parts = [f"{kind} {n}" for n in args.groups for kind in ("launched", "refit")]
    parts += [f"choice {name}" for name in args.agents]
    write_table(args.out, COLUMNS, product(args.datasets, parts, [str(args.device)]), measure)


if __name__ == "__main__":
    run_script(main)
