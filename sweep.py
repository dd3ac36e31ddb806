"""Runs many experiments with Ray, on this machine or on a driver.

    python sweep.py configs/study_small.yaml
    python sweep.py --datasets diabetes --agents random balsa_emd --query_sizes 5 --run_ids 1-10

The file holds options by their names, lists where there are several; options typed beside
it take precedence. Finished runs are left out, unfinished ones go on. docs/CLUSTER.md says more.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core import util
from core.cli import (
    ArgumentParser,
    add_ray_arguments,
    at_least,
    auto_or_count,
    run_script,
)
from core.errors import UserError
from core.files import one_line, parse_yaml, read_bytes
from core.options import DATA, DATA_KINDS, add_options, options_of
from core.protocol import PROTOCOLS

if TYPE_CHECKING:
    from core import Experiment
    from core.sweep.driver import Failure
    from core.sweep.plan import Group


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="sweep.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", nargs="?", type=Path, help="a YAML file of these options")
    several = {"nargs": "+", "metavar": "NAME"}
    parser.add("datasets", None, f"datasets, each {DATA_KINDS}", **several)
    add_options(parser, (*DATA[1:], "budget"))
    parser.add("agents", None, "names of agents", **several)
    parser.add("variations", ["nf"], "the models; evaluate.py --list shows all", nargs="+", metavar="NAME")
    parser.add("protocols", ["published"], "the protocols", nargs="+", choices=list(PROTOCOLS))
    parser.add("query_sizes", [50], "points chosen in each round", nargs="+", type=at_least(1), metavar="N")
    parser.add("run_ids", ["1-30"], "ids, and ranges of ids, of the runs", nargs="+", metavar="IDS")
    parser.add("runs_folder", Path("runs"), "where the results go", type=Path)
    parser.add("side_by_side", "auto", "most runs trained as one stack, in one task", type=auto_or_count)
    add_ray_arguments(parser)
    parser.add(
        "retries", 3, "how often a task whose process or machine died is begun again", type=at_least(0)
    )
    parser.add_argument("--dry_run", action="store_true", help="print the plan with its core time, and exit")
    return parser


def from_file(path: Path, known: Sequence[str]) -> list[str]:
    """The options in a YAML file, as they would be typed.

    Raises:
        UserError: it cannot be read, or holds something else.
    """
    try:
        options = parse_yaml(read_bytes(path))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {one_line(error)}") from error
    if not isinstance(options, dict):
        raise UserError(f"{path}: a mapping is wanted, such as 'agents: [random, bald]'")
    typed = []
    for name, value in options.items():
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise UserError(f"{path}: unknown key '{one_line(name)}'; {hint}")
        values = value if isinstance(value, list) else [value]
        texts = [str(int(one) if isinstance(one, bool) else one) for one in values]
        plain = all(isinstance(one, str | int | float) for one in values)
        if not texts or not plain or any(text.startswith("-") for text in texts):
            raise UserError(
                f"{path}: '{name}' must be a name, a number or a list of them, got {one_line(repr(value))}"
            )
        typed += [f"--{name}", *texts]
    return typed


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser()
    args = parser.parse_args(arguments)
    if args.file:
        known = [name for name in vars(args) if name not in ("file", "dry_run")]
        of_file = parser.parse_args(from_file(args.file, known))
        args = parser.parse_args(arguments, namespace=of_file)
    if not args.datasets or not args.agents:
        parser.error("--datasets and --agents are needed, here or in a file; evaluate.py --list shows all")
    return args


def left_to_do(args: argparse.Namespace) -> list[tuple[Experiment, list[int]]]:
    """The sweep's experiments, with their runs that are not finished; says what is left out.

    Raises:
        UserError: nothing is left.
    """
    from core.sweep import plan

    ids = plan.run_ids(args.run_ids)
    found, notes = plan.experiments(
        args.datasets,
        args.agents,
        args.variations,
        args.protocols,
        args.query_sizes,
        **options_of(args),
    )
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    if not found:
        raise UserError("none of these experiments can be run")
    return [(experiment, plan.to_do(experiment, ids, args.runs_folder)) for experiment in found]


def make_groups(
    args: argparse.Namespace, left: Sequence[tuple[Experiment, list[int]]], slots: int
) -> list[Group]:
    from core.runs.group import MOST_ON_GPU
    from core.sweep import plan
    from core.sweep.cost import Costs

    costs = Costs()

    def cost(experiment: Experiment, size: int) -> float:
        e = experiment
        names = (e.dataset_name, e.agent, e.variation, e.protocol)
        return sum(costs.run(*names, e.query_size, e.budget, size, e.dataset_class.seed_set))

    most = args.side_by_side
    if most == "auto":
        most = MOST_ON_GPU if args.gpus else None
    return plan.pack(left, cost, most, slots)


def print_plan(left: Sequence[tuple[Experiment, list[int]]], groups: Sequence[Group], slots: int) -> None:
    """A line an experiment, then the total."""
    from core.sweep import plan

    print(f"{'experiment':60}{'runs':>6}{'groups':>8}{'core-hours':>12}")
    for experiment, ids in left:
        seconds = [group.seconds for group in groups if group.experiment == experiment]
        print(f"{experiment!s:60}{len(ids):6}{len(seconds):8}{sum(seconds) / 3600:12.2f}")
    seconds = [group.seconds for group in groups]
    print(f"{'total':60}{sum(len(ids) for _, ids in left):6}{len(groups):8}{sum(seconds) / 3600:12.2f}")
    print(f"about {plan.makespan(seconds, slots) / 3600:.1f} hours for {slots} tasks at a time")


def collect(args: argparse.Namespace, left: Sequence[tuple[Experiment, list[int]]]) -> None:
    """Mends the collected files of experiments whose last process died before it had written them."""
    from core.runs.files import aggregate, is_collected

    for experiment, ids in left:
        folder = experiment.folder(args.runs_folder)
        if not ids and not is_collected(folder):
            aggregate(folder)


def print_results(args: argparse.Namespace, left: Sequence[tuple[Experiment, list[int]]]) -> None:
    """Where the results are: a line a protocol and variation, as each has a folder beside the others."""
    beside = args.runs_folder.parent
    folders = (experiment.folder(args.runs_folder).relative_to(beside) for experiment, _ in left)
    for name in sorted({folder.parts[0] for folder in folders}):
        print(f"results: {beside / name}")


def report(failures: Sequence[Failure], groups: int) -> None:
    if failures:
        print(f"groups that have failed: {len(failures)} of {groups}", file=sys.stderr)
    for failure in failures:
        log = failure.log if failure.log.exists() else "its log is on the machine that ran it"
        print(f"{failure.group}: {failure.reason}\n  {log}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    args = parse_arguments(arguments)

    import joblib

    from core.data.own import is_own
    from core.sweep import driver

    # What a task is told must mean the same in another folder.
    args.data_folder, args.runs_folder = args.data_folder.absolute(), args.runs_folder.absolute()
    tables = [is_own(name) and not name.startswith("openml:") for name in args.datasets]
    args.datasets = [
        str(Path(name).absolute()) if table else name
        for name, table in zip(args.datasets, tables, strict=True)
    ]
    left = left_to_do(args)
    if args.dry_run:
        slots = max(1, joblib.cpu_count() // args.cpus)
        print_plan(left, make_groups(args, left, slots), slots)
        return 0
    driver.load_ray(args.address)
    collect(args, left)
    runs = sum(len(ids) for _, ids in left)
    if not runs:
        print("all runs are finished")
        print_results(args, left)
        return 0
    util.tqdm.unattended = util.is_cluster
    with driver.connected(args.address) as ray:
        slots = driver.slots(ray, args.cpus, args.gpus)
        if not slots:
            wanted = f"no machine has the {args.cpus} cores and {args.gpus:g} GPUs that a task asks for"
            if args.address is None:
                raise UserError(wanted)
            print(f"note: {wanted}, yet", file=sys.stderr)  # a cluster may grow
        groups = make_groups(args, left, max(1, slots))
        print(f"runs: {runs}, in groups: {len(groups)}, at a time: {slots}", file=sys.stderr)
        failures = driver.run_groups(
            ray,
            groups,
            args.runs_folder,
            side_by_side=args.side_by_side,
            cpus=args.cpus,
            gpus=args.gpus,
            retries=args.retries,
        )
    report(failures, len(groups))
    print(f"groups finished: {len(groups) - len(failures)} of {len(groups)}")
    print_results(args, left)
    return int(bool(failures))


if __name__ == "__main__":
    run_script(main)
