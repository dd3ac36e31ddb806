"""Steps a second of the environment of reinforcement learning: alone, in two processes, and side by side.

    python benchmarks/environments.py --out environments.csv

Random actions on the synthetic tasks that learn_policy.py learns on. `alone`: one environment. `async 2`: an
AsyncVectorEnv of two processes. `lockstep S`: S environments of one process, their models one stack.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import gymnasium as gym
import numpy as np
import pandas as pd

import core.rl  # noqa: F401, registers the environments
from core.cli import ArgumentParser, at_least, run_script, set_threads
from core.files import write_file
from core.rl.candidates import CandidateEnv
from core.rl.lockstep import together

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


def lockstep(count: int) -> tuple[Callable[[np.ndarray], object], int]:
    envs: list[CandidateEnv] = [gym.make(ID).unwrapped for _ in range(count)]  # type: ignore[misc]
    together([env.resetting(seed) for seed, env in enumerate(envs)])

    def step(actions: np.ndarray) -> None:
        done = [out[2] for out in together([e.stepping(a) for e, a in zip(envs, actions, strict=True)])]
        together([env.resetting() for env, over in zip(envs, done, strict=True) if over])

    return step, count


def main(arguments: Sequence[str] | None = None) -> int:
    parser = ArgumentParser(prog="environments.py", description=__doc__)
    parser.add("steps", 160, "steps of a measurement", type=at_least(1))
    parser.add("repeats", 5, "measurements of each, in turn", type=at_least(1))
    parser.add("out", None, "the table", type=Path, required=True)
    args = parser.parse_args(arguments)
    set_threads(1)
    made = {
        "alone": alone(),
        "async 2": processes(2),
        "lockstep 4": lockstep(4),
        "lockstep 16": lockstep(16),
        "lockstep 32": lockstep(32),
    }
    rng = np.random.default_rng(1)
    rates: dict[str, list[float]] = {name: [] for name in made}
    for _ in range(args.repeats):
        for name, (step, count) in made.items():
            rounds = max(1, args.steps // count)
            started = time.perf_counter()
            for _ in range(rounds):
                step(rng.integers(CANDIDATES, size=count))
            rates[name].append(rounds * count / (time.perf_counter() - started))
    table = pd.DataFrame(
        [
            {"environments": name, "median": statistics.median(of), "lowest": min(of), "highest": max(of)}
            for name, of in rates.items()
        ]
    ).round(1)
    print(table.to_string(index=False))
    write_file(args.out, lambda beside: table.to_csv(beside, index=False))
    return 0


if __name__ == "__main__":
    run_script(main)
