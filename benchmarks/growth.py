"""How the cost of choosing grows with the pool, the candidates, the grid and the passes.

    python benchmarks/growth.py --out growth.csv

On random tables of sarcos's width. `pool` keeps each agent's own limit of candidates; `candidates`
scores them all. CPU seconds are those of one thread. What is in `--out` already is not measured
again.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import cache, partial, partialmethod

from measure import compare, digits, make_parser, write_table
from tasks import SIZES, RandomTable, make_environment
from torch import Tensor

from agents import AGENTS
from agents.distributions import GRID, PASSES, DistributionAgent
from core import Agent, Environment, Seeds
from core.cli import run_script, set_threads
from core.models.densities import Density
from core.models.predictor import Predictor

POOLS = (2_000, 5_000, 10_000, 20_000, 50_000)
#: Axis, agents, values.
AXES = {
    "pool": (("random", "coreset", "typiclust", "coregcn", "bald", "bald_dist_entropy", "balsa_emd"), POOLS),
    "candidates": (("coreset", "typiclust", "coregcn", "bald", "bald_dist_entropy", "balsa_emd"), POOLS),
    "grid": (("bald_dist_entropy", "balsa_kl_grid", "balsa_kl_pairs"), (50, 100, 200, 400, 800)),
    "passes": (("bald", "bald_dist_entropy", "balsa_kl_pairs", "balsa_emd"), (5, 10, 25, 50, 100)),
}
COLUMNS = ("axis", "agent", "value", "seconds", "MB")


def parse_arguments() -> argparse.Namespace:
    parser = make_parser(__doc__, "growth.csv")
    parser.add_argument("--axes", nargs="+", choices=AXES, default=list(AXES))
    return parser.parse_args()


def changed(agent_class: type[Agent], axis: str, value: int) -> type[Agent]:
    """The agent with another grid, or number of passes or candidates."""
    if axis == "pool":
        return agent_class
    if axis == "candidates":
        return type("OtherCandidates", (agent_class,), {"candidates": value})
    assert issubclass(agent_class, DistributionAgent)
    if axis == "grid":
        densities = agent_class.densities // GRID * value
        return type(
            "OtherGrid",
            (agent_class,),
            {"densities": densities, "log_prob": partialmethod(agent_class.log_prob, points=value)},
        )

    def passes(self: DistributionAgent, predictor: Predictor, x: Tensor) -> Density:
        return predictor.passes(x, value, self.generator)

    densities = agent_class.densities // PASSES * value
    return type("OtherPasses", (agent_class,), {"densities": densities, "passes": passes})


def main() -> None:
    args = parse_arguments()
    agents = AGENTS.classes  # before threads are limited: that reaches libraries that are loaded
    set_threads(1)

    @cache
    def environment(pool: int) -> Environment:
        table = RandomTable(round((pool + RandomTable.seed_set) / 0.64), SIZES["sarcos"][1], Seeds())
        return make_environment("sarcos", table=table)

    def measure(axis: str, name: str) -> Iterator[tuple[object, ...]]:
        calls: dict[int, Callable[[], object]] = {}
        for value in AXES[axis][1]:
            env = environment(value if axis in ("pool", "candidates") else 10_000)
            state, agent = env.state, changed(agents[name], axis, value)(1, env.seeds)
            calls[value] = partial(agent.predict, state)
        for value, cost in compare(calls, args.repeats).items():
            yield axis, name, value, digits(cost.seconds), digits(cost.megabytes)

    cases = [(axis, name) for axis in args.axes for name in AXES[axis][0]]
    write_table(args.out, COLUMNS, cases, measure)


if __name__ == "__main__":
    run_script(main)
