"""Learns an acquisition policy by reinforcement learning (needs the extra `rl`).

    python learn_policy.py --algorithm ppo --out policies/mine --steps 100000
    python evaluate.py --agent learned --policy policies/mine/policy.pt --dataset diabetes

The folder gets policy.pt, evaluations.csv (beside random), TensorBoard's logs, and checkpoint.pt: the same
line goes on where it was broken off. docs/LEARNING.md describes all.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli import (
    ArgumentParser,
    at_least,
    number,
    pick_device,
    run_script,
    set_threads,
)
from core.errors import UserError
from core.options import add_options
from core.rl.ids import SMALL
from core.rl.tasks import REWARDS, TASKS

if TYPE_CHECKING:
    from core.rl.candidates import CandidateEnv
    from core.rl.evaluation import Evaluation

#: Evaluations are on tasks of these seeds and the ones behind them; training has others.
EVALUATION_SEED = 1_000_000


share = number(lambda value: 0 < value <= 1, "a number above 0, at most 1,")


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = ArgumentParser(
        prog="learn_policy.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add("out", None, "the folder of the policy", type=Path, required=True)
    parser.add(
        "algorithm",
        "ppo",
        "how it is learned; imitation is of the greedy oracle",
        choices=["ppo", "imitation"],
    )
    parser.add("task", "synthetic", f"{', '.join(TASKS)}, or a dataset as of evaluate.py")
    parser.add("data_folder", Path("../datasets"), "where dataset files lie", type=Path)
    add_options(parser, ("variation",), variation="gauss")
    parser.add("steps", 100_000, "steps in all", type=at_least(1))
    parser.add("environments", 16, "environments side by side", type=at_least(1, 1024))
    parser.add("candidates", 32, "candidates of a step", type=at_least(2, 10_000))
    parser.add("budget", None, "points of an episode; the task's own if not given", type=at_least(1))
    parser.add("reward", "validation_mae", "whose fall is the reward", choices=REWARDS)
    parser.add("discount", 0.9, "of later rewards", type=share)
    parser.add("rate", 1e-3, "learning rate", type=share)
    parser.add("rollout", 1024, "steps of all environments between two updates", type=at_least(2))
    # Episode i of imitation has the seed 1000 * seed + i, which must stay below EVALUATION_SEED.
    parser.add("seed", 1, "of weights, actions and tasks", type=at_least(0, EVALUATION_SEED // 1000 - 2))
    parser.add("every", 10_000, "steps between two evaluations", type=at_least(1))
    parser.add("evaluations", 64, "tasks of an evaluation", type=at_least(2))
    parser.add("device", "cpu", "where the tasks' models live: auto, cpu, cuda, ...")
    parser.add("threads", 1, "threads of this process", type=at_least(1, 1024))
    return parser.parse_args(arguments)


def by_ppo(
    args: argparse.Namespace,
    settings: dict[str, Any],
    make: Callable[[], CandidateEnv],
    evaluation: Evaluation,
) -> None:
    """Plays and updates the policy in turn."""
    from core.rl.features import SCORES
    from core.rl.learning import Lockstep, Watch, logger_of, make_learner, resume

    learner = make_learner(
        Lockstep([make] * args.environments),
        args.seed,
        rate=args.rate,
        discount=args.discount,
        rollout=args.rollout,
    )
    resume(learner, args.out, settings)
    learner.set_logger(logger_of(args.out))
    watch = Watch(args.out, settings, SCORES, evaluation, args.steps, args.every)
    left = args.steps - learner.num_timesteps
    if left > 0:
        learner.learn(left, callback=watch, reset_num_timesteps=False)


def by_imitation(
    args: argparse.Namespace,
    settings: dict[str, Any],
    make: Callable[[], CandidateEnv],
    evaluation: Evaluation,
) -> None:
    """Tries out what each candidate would bring, then learns to tell."""
    import torch

    from core.rl.features import RUN, SCORES, names_of
    from core.rl.imitation import imitate, try_out_more
    from core.rl.scorer import Policy, Scorer, save_policy

    tried = try_out_more(args.out, settings, make(), args.steps)
    torch.manual_seed(args.seed)  # the weights, in a process of our own
    scorer = Scorer(len(names_of(SCORES)), len(RUN))
    errors = imitate(scorer, tried, args.seed)
    trained = settings | {"steps": len(tried), "error": errors[-1]}
    save_policy(args.out / "policy.pt", Policy(scorer, SCORES, trained))
    evaluation.note(len(tried), scorer)


def main(arguments: Sequence[str] | None = None) -> int:
    args = parse_arguments(arguments)

    from core.files import check_writable
    from core.rl.candidates import CandidateEnv
    from core.rl.evaluation import Evaluation

    set_threads(args.threads)
    device = pick_device(args.device)
    if args.algorithm == "ppo" and not (find_spec("sb3_contrib") and find_spec("tensorboard")):
        raise UserError("Stable-Baselines3 is not there: pip install '.[rl]'")
    names = ["algorithm", "task", "variation", "environments", "candidates", "budget", "reward", "discount"]
    names += ["rate", "rollout", "seed"]
    settings = {name: getattr(args, name) for name in names}

    def environment() -> CandidateEnv:
        config: dict[str, Any] = SMALL if args.task in TASKS else {}
        return CandidateEnv(
            args.task,
            args.variation,
            candidates=args.candidates,
            reward=args.reward,
            budget=args.budget,
            anew=True,
            config=config,
            device=device,
            data_folder=args.data_folder,
        )

    seeds = range(EVALUATION_SEED, EVALUATION_SEED + args.evaluations)
    check_writable(args.out)
    environment().reset(seed=0)  # what cannot be made is said before a file is written
    args.out.mkdir(parents=True, exist_ok=True)
    evaluation = Evaluation(args.out / "evaluations.csv", [environment() for _ in seeds], seeds)
    if args.algorithm == "ppo":
        by_ppo(args, settings, environment, evaluation)
    else:
        by_imitation(args, settings, environment, evaluation)
    print((args.out / "evaluations.csv").read_text(), end="")
    print(f"policy: {args.out / 'policy.pt'}")
    return 0


if __name__ == "__main__":
    run_script(main)
