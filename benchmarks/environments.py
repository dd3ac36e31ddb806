"""Steps a second of the environment of reinforcement learning: alone, in two processes, and side by side.

    python benchmarks/environments.py

Random actions on the synthetic tasks that learn_policy.py learns on. `alone`: one environment. `async 2`: an
AsyncVectorEnv of two processes. `side by side S`: S environments of one process, their models one stack.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import gymnasium as gym
import numpy as np
from measure import digits, make_parser, write_table

import core.rl  # noqa: F401, registers the environments
from core.cli import at_least, run_script, set_threads
from core.rl.candidates import CandidateEnv
from core.training.side_by_side import side_by_side

ID = "BalsaBench/Synthetic-v0"
CANDIDATES = 32


def alone() -> tuple[Callable[[np.ndarray], object], int]:
    env = gym.make(ID)
    env.reset(seed=1)

    def step(actions: np.ndarray) -> None:
        if env.step(int(actions[0]))[2]:
            env.reset()

    return step, 1


def processes(count: int) -> tuple[Callable[[np.ndarray], object], int]:
    env = gym.make_vec(ID, count, "async", vector_kwargs={"context": "spawn"})
    env.reset(seed=1)
    return env.step, count


def stacked(count: int) -> tuple[Callable[[np.ndarray], object], int]:
    envs: list[CandidateEnv] = [gym.make(ID).unwrapped for _ in range(count)]  # type: ignore[misc]
    side_by_side([partial(env.reset, seed=seed) for seed, env in enumerate(envs)])

    def step(actions: np.ndarray) -> None:
        done = side_by_side([partial(e.step, a) for e, a in zip(envs, actions, strict=True)])
        side_by_side([env.reset for env, out in zip(envs, done, strict=True) if out[2]])

    return step, count


def main(arguments: Sequence[str] | None = None) -> int:
    parser = make_parser(__doc__, "environments.csv")
    parser.add("steps", 96, "steps of a measurement", type=at_least(1))
    args = parser.parse_args(arguments)
    set_threads(1)
    made = {"alone": alone(), "async 2": processes(2)}
    made |= {f"side by side {count}": stacked(count) for count in (4, 16, 32)}
    rng = np.random.default_rng(1)
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in made}
    for _ in range(args.repeats):
        for name, (step, count) in made.items():
            rounds = max(1, args.steps // count)
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(rounds):
                step(rng.integers(CANDIDATES, size=count))
            steps = rounds * count
            rates[name].append((steps / (time.perf_counter() - wall), steps / (time.process_time() - cpu)))

    def measured(name: str) -> Iterator[Sequence[object]]:
        a_second, a_cpu_second = zip(*rates[name], strict=True)
        per_cpu = (
            "" if name.startswith("async") else digits(statistics.median(a_cpu_second))
        )  # others' is not seen
        yield name, *map(digits, (statistics.median(a_second), min(a_second), max(a_second))), per_cpu

    columns = ("environments", "steps_a_second", "lowest", "highest", "steps_a_cpu_second")
    write_table(args.out, columns, [(name,) for name in made], measured)
    return 0


if __name__ == "__main__":
    run_script(main)
