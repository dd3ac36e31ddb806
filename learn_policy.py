"""Learns an acquisition policy by reinforcement learning (needs the extra `rl`).

    python learn_policy.py --out policies/mine --steps 100000
    python evaluate.py --agent learned --policy policies/mine/policy.pt --dataset diabetes

The folder gets policy.pt, evaluations.csv (compared with random), TensorBoard's logs, and checkpoint.pt:
running the command again resumes training, with freshly drawn tasks. See docs/LEARNING.md.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from core.cli import ArgumentParser, at_least, pick_device, run_script, set_threads
from core.errors import UserError
from core.options import add_options

#: First seed of the tasks for evaluation; training uses smaller ones.
EVALUATION_SEED = 1_000_000
#: Options that must stay the same when training resumes.
SETTINGS = ["task", "variation", "environments", "candidates", "budget", "rollout", "seed"]


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = ArgumentParser(prog="learn_policy.py", description=__doc__)
    parser.add("out", None, "the folder of the policy", type=Path, required=True)
    parser.add("task", "synthetic", "synthetic, or the name of a dataset")
    add_options(parser, ("variation", "data_folder"), variation="gauss")
    parser.add("steps", 100_000, "how many steps to train", type=at_least(1))
    parser.add("environments", 16, "environments side by side", type=at_least(1, 1024))
    parser.add("candidates", 32, "candidates per step", type=at_least(2, 10_000))
    parser.add("budget", None, "points to add in an episode (default: the task's own)", type=at_least(1))
    parser.add("rollout", 1024, "steps of all environments between two updates", type=at_least(2))
    parser.add("seed", 1, "seed of weights, actions and tasks", type=at_least(0))
    parser.add("every", 10_000, "steps between two evaluations", type=at_least(1))
    parser.add("evaluations", 64, "tasks per evaluation", type=at_least(2))
    parser.add("device", "cpu", "device of the tasks' models: auto, cpu, cuda, ...")
    parser.add("threads", 1, "threads of this process", type=at_least(1, 1024))
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    args = parse_arguments(arguments)

    if not (find_spec("sb3_contrib") and find_spec("tensorboard")):
        raise UserError("Stable-Baselines3 is not installed: pip install -e '.[rl]'")
    from core.files import check_writable
    from core.rl.candidates import SMALL, CandidateEnv
    from core.rl.ppo import Evaluation, Lockstep, learn_by_ppo, make_learner

    set_threads(args.threads)
    make = partial(
        CandidateEnv,
        args.task,
        args.variation,
        candidates=args.candidates,
        budget=args.budget,
        anew=True,
        config=SMALL if args.task == "synthetic" else {},
        device=pick_device(args.device),
        data_folder=args.data_folder,
    )
    check_writable(args.out)
    make().reset(seed=0)  # raise errors before a file is written
    args.out.mkdir(parents=True, exist_ok=True)
    settings = {name: getattr(args, name) for name in SETTINGS}
    seeds = range(EVALUATION_SEED, EVALUATION_SEED + args.evaluations)
    evaluation = Evaluation(args.out / "evaluations.csv", [make() for _ in seeds], seeds)
    envs = Lockstep([make] * args.environments)
    learner = make_learner(envs, args.seed, args.rollout)
    learn_by_ppo(args.out, settings, learner, evaluation, args.steps, args.every)
    print(evaluation.path.read_text(), end="")
    print(f"policy: {args.out / 'policy.pt'}")
    return 0


if __name__ == "__main__":
    run_script(main)
