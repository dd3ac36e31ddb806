"""Times every agent's choice, of one point or a batch, early in a run.

    python benchmarks/acquisition.py --data_folder ../datasets --out acquisition.csv

Without a data folder the tables have random content of the real size. CPU seconds are those of one thread.
What is in `--out` already is not measured again, so take another file for another `--query_size`.
"""

import argparse
from collections.abc import Iterator
from functools import cache
from itertools import product

from measure import compare, digits, write_table
from tasks import make_environment, make_task_parser

from agents import AGENTS
from core import PROTOCOLS, PUBLISHED
from core.cli import at_least, run_script, set_threads
from core.environment import Environment
from core.errors import UserError
from core.models.variations import VARIATIONS

COLUMNS = ("dataset", "agent", "variation", "protocol", "candidates", "seconds", "MB")


def parse_arguments() -> argparse.Namespace:
    parser = make_task_parser(__doc__, "acquisition.csv")
    parser.add_argument("--agents", nargs="+", choices=AGENTS.classes, default=list(AGENTS.classes))
    parser.add_argument("--variation", choices=VARIATIONS, help="default: each agent's first")
    parser.add_argument("--protocol", choices=PROTOCOLS, default=PUBLISHED.name)
    parser.add_argument("--query_size", type=at_least(1), default=1, help="points of a batch (default: 1)")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    set_threads(1)

    @cache
    def environment(dataset: str, variation: str) -> Environment:
        protocol = PROTOCOLS[args.protocol]
        return make_environment(dataset, args.data_folder, variation=variation, protocol=protocol)

    def measure(dataset: str, name: str, variation: str, protocol: str) -> Iterator[list[object]]:
        agent_class = AGENTS[name]
        env = environment(dataset, variation)
        state = env.state
        agent = agent_class(args.query_size, env.seeds, env.protocol)
        candidates = min(agent.candidates, len(state.x_unlabeled))
        cost = compare({"choice": lambda: agent.predict(state)}, args.repeats)["choice"]
        yield [dataset, name, variation, protocol, candidates, digits(cost.seconds), digits(cost.megabytes)]

    agents = [(name, args.variation or AGENTS[name].variations[0]) for name in args.agents]
    able = [(name, variation) for name, variation in agents if variation in AGENTS[name].variations]
    if not able:
        raise UserError(
            f"--variation {args.variation}: none of --agents {' '.join(args.agents)} can score it"
        )
    cases = ((dataset, *agent, args.protocol) for dataset, agent in product(args.datasets, able))
    write_table(args.out, COLUMNS, cases, measure)


if __name__ == "__main__":
    run_script(main)
