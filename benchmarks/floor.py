"""The arithmetic that a choice cannot do without, at the rates of this core, beside the time that it takes.

    python benchmarks/floor.py --data_folder ../datasets --out floor.csv

Rates are measured first: products of [10,200, 128] and [128, 128], the same bytes copied, masks, normal
numbers, and exponentials or logarithms. The floor is the sum of what an agent needs of each; knots, sorting
and whatever else has no rate of its own counts as nothing. CPU seconds of one thread. Without a data folder
the tables have random content of the real size. What is in `--out` already is not measured again.
"""

import time
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product

import torch
from measure import compare, digits, write_table
from tasks import make_environment, make_task_parser

from agents import AGENTS
from agents.coregcn import STEPS, WIDTH
from agents.distributions import GRID, PASSES
from core.cli import run_script, set_threads
from core.environment import Environment
from core.models.masks import dropout, mask_source
from core.models.networks import DensityModel
from core.models.predictor import SAMPLES

#: Exponentials and logarithms of each density on the grid: its own logarithm, and what its score needs.
ON_GRID = {
    "bald_dist_entropy": 2,
    "nflows_out": 1,
    "balsa_kl_grid": 2,
    "balsa_kl_pairs": 2,
    "balsa_entropy": 2,
}
#: Those of each sample: the most likely one wants log-densities.
OF_SAMPLES = {"bald": 1, "bald_dist_std": 0, "balsa_emd": 0}
COLUMNS = (
    "dataset",
    "agent",
    "products",
    "masks",
    "normals",
    "exp and log",
    "bytes",
    "floor",
    "seconds",
    "ratio",
)
_ROWS = 10_200


def seconds(call: Callable[[], object], repeats: int = 30) -> float:
    """The least CPU seconds of a call: the first calls of a process page their memory in."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return min(taken)


@cache
def rates() -> dict[str, float]:
    """Seconds of a multiplication with addition, a mask element, a normal, an exponential, a byte."""
    generator = torch.Generator().manual_seed(1)
    source = mask_source(generator)
    x, weight = torch.rand(_ROWS, WIDTH, generator=generator), torch.rand(WIDTH, WIDTH, generator=generator)
    out = torch.empty_like(x)
    small = torch.rand(1 << 14, generator=generator)  # stays in the cache
    piece = x[None, :1024].clone()
    return {
        "products": seconds(lambda: torch.mm(x, weight, out=out)) / (x.numel() * WIDTH),
        "masks": seconds(lambda: dropout(piece, 0.05, [source])) / piece.numel(),
        "normals": seconds(lambda: out.normal_(generator=generator)) / out.numel(),
        "exp and log": seconds(lambda: torch.exp(small, out=out.view(-1)[: len(small)])) / len(small),
        "bytes": seconds(lambda: out.copy_(x)) / (2 * 4 * x.numel()),
    }


def needed(name: str, model: DensityModel, candidates: int, labelled: int) -> dict[str, float]:
    """How much of each an agent needs."""
    layers = [n_in * n_out for n_in, n_out in model.shapes]
    dropped = sum(n_out for _, n_out in model.shapes[1 : model._encoder_layers])
    rows = PASSES * candidates
    need: dict[str, float]
    if name == "coregcn":
        points = candidates + labelled
        need = {"products": 2.0 * STEPS * points * WIDTH * WIDTH, "masks": STEPS * points * WIDTH}
        # The propagated features twice, those of the adjacency four times, the masks written and read.
        return need | {"bytes": 4.0 * STEPS * points * WIDTH * 8}
    # The first layer comes before all masks: one pass is enough.
    need = {
        "products": candidates * layers[0] + rows * sum(layers[1:]),
        "masks": rows * dropped,
    }
    if name in OF_SAMPLES:
        return need | {"normals": rows * SAMPLES, "exp and log": OF_SAMPLES[name] * rows * SAMPLES}
    return need | {"exp and log": ON_GRID[name] * rows * GRID}


def main() -> None:
    args = make_task_parser(__doc__, "floor.csv").parse_args()
    agents = AGENTS.classes  # before threads are limited: that reaches libraries that are loaded
    set_threads(1)
    for name, rate in rates().items():
        print(f"{name}: {1e-9 / rate:.3g} 10^9 a second")

    @cache
    def environment(dataset: str) -> Environment:
        return make_environment(dataset, args.data_folder)

    def measure(dataset: str, name: str) -> Iterator[tuple[object, ...]]:
        env = environment(dataset)
        agent = agents[name](1, env.seeds, env.protocol)
        state = env.state
        need = needed(
            name,
            state.classifier.model,
            min(agent.candidates, len(state.x_unlabeled)),
            len(state.x_labeled),
        )
        floor = {part: rates()[part] * need.get(part, 0) for part in rates()}
        taken = compare({name: lambda: agent.predict(state)}, args.repeats)[name].seconds
        total = sum(floor.values())
        yield dataset, name, *map(digits, (*floor.values(), total, taken, taken / total))

    write_table(args.out, COLUMNS, product(args.datasets, [*OF_SAMPLES, *ON_GRID, "coregcn"]), measure)


if __name__ == "__main__":
    run_script(main)
