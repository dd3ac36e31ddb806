"""Runs many experiments with Ray, on this machine or on a cluster.

    python sweep.py configs/study_small.yaml
    python sweep.py --datasets diabetes --agents random balsa_emd --query_sizes 5 --run_ids 1-10

The file holds options by name; options on the command line take precedence. Finished runs are skipped,
unfinished ones resume. docs/CLUSTER.md says more.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core import util
from core.cli import ArgumentParser, add_ray_arguments, auto_or_count, batch_sizes, run_script
from core.config import read_file
from core.errors import UserError
from core.files import one_line
from core.options import DATA, DATA_KINDS, QUERY_SIZE, add_options, options_of
from core.protocol import PROTOCOLS

if TYPE_CHECKING:
    from core import Experiment
    from core.sweep.plan import Group


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(prog="sweep.py", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, help="a YAML file of these options")
    several = {"nargs": "+", "metavar": "NAME"}
    parser.add("datasets", None, f"datasets, each {DATA_KINDS}", **several)
    add_options(parser, (*DATA[1:], "budget"))
    parser.add("agents", None, "names of agents", **several)
    parser.add("variations", ["nf"], "the models; evaluate.py --list shows all", **several)
    parser.add("protocols", ["published"], "the protocols", nargs="+", choices=list(PROTOCOLS))
    parser.add("query_sizes", [50], QUERY_SIZE, nargs="+", type=batch_sizes, metavar="N")
    parser.add("run_ids", ["1-30"], "run ids, such as 1 3 5-10", nargs="+", metavar="IDS")
    parser.add("runs_folder", Path("runs"), "where the results go", type=Path)
    parser.add("side_by_side", "auto", "most runs that a task trains as one stack", type=auto_or_count)
    add_ray_arguments(parser)
    parser.add_argument("--dry_run", action="store_true", help="print the plan and its core-hours, and exit")
    return parser


def from_file(path: Path, known: Sequence[str]) -> list[str]:
    """The options in a YAML file, as you would type them; a UserError if it holds anything else."""
    options = read_file(path)
    if not isinstance(options, dict):
        raise UserError(f"{path}: expected a mapping, such as 'agents: [random, bald]'")
    typed = []
    for name, value in options.items():
        values = value if isinstance(value, list) else [value]
        if name not in known:
            raise UserError(f"{path}: unknown key '{one_line(name)}'; known are {', '.join(known)}")
        if not values or not all(isinstance(one, str | int | float) for one in values):
            said = f"'{name}' must be a name, a number or a list of them, got {one_line(value)}"
            raise UserError(f"{path}: {said}")
        typed += [f"--{name}", *(str(int(one) if isinstance(one, bool) else one) for one in values)]
    return typed


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser()
    args = parser.parse_args(arguments)
    if args.file:
        known = [name for name in vars(args) if name not in ("file", "dry_run")]
        args = parser.parse_args(arguments, namespace=parser.parse_args(from_file(args.file, known)))
    if not args.datasets or not args.agents:
        parser.error("--datasets and --agents are required, here or in a file; evaluate.py --list shows all")
    return args


def print_plan(left: dict[Experiment, list[int]], groups: Sequence[Group], slots: int) -> None:
    """Prints a line for each experiment, and the total."""
    print(f"{'experiment':60}{'runs':>6}{'groups':>8}{'core-hours':>12}")
    for experiment, ids in left.items():
        hours = [group.seconds / 3600 for group in groups if group.experiment is experiment]
        print(f"{experiment!s:60}{len(ids):6}{len(hours):8}{sum(hours):12.2f}")
    hours = [group.seconds / 3600 for group in groups]
    print(f"{'total':60}{sum(map(len, left.values())):6}{len(groups):8}{sum(hours):12.2f}")
    print(f"about {max([sum(hours) / slots, *hours]):.1f} hours for {slots} tasks at a time")


def run_sweep(args: argparse.Namespace, left: dict[Experiment, list[int]]) -> int:
    """Makes the runs and prints which groups failed; returns how many did."""
    from core.sweep import driver, plan

    with driver.connected(args.address) as ray:
        slots = driver.slots(ray, args.cpus, args.gpus)
        if not slots:
            wanted = f"no machine has the {args.cpus} cores and {args.gpus:g} GPUs that a task asks for"
            if args.address is None:
                raise UserError(wanted)
            print(f"note: {wanted}, yet", file=sys.stderr)  # a cluster may grow
        groups = plan.pack(left, args.side_by_side, args.gpus > 0, max(1, slots))
        runs = sum(map(len, left.values()))
        print(f"runs: {runs}, in groups: {len(groups)}, at a time: {slots}", file=sys.stderr)
        failures = driver.run_groups(ray, groups, args.runs_folder, args.side_by_side, args.cpus, args.gpus)
    if failures:
        print(f"failed groups: {len(failures)} of {len(groups)}", file=sys.stderr)
    for group, reason in failures:
        log = group.log(args.runs_folder)
        where = log if log.exists() else "its log is on the machine that ran it"
        print(f"{group}: {reason}\n  {where}", file=sys.stderr)
    print(f"finished groups: {len(groups) - len(failures)} of {len(groups)}")
    return len(failures)


def main(arguments: Sequence[str] | None = None) -> int:
    args = parse_arguments(arguments)

    import joblib

    from core.runs.files import aggregate, is_collected, is_finished
    from core.sweep import plan

    # Paths must mean the same to tasks, which work in another folder.
    args.data_folder, args.runs_folder = args.data_folder.absolute(), args.runs_folder.absolute()
    names = (args.datasets, args.agents, args.variations, args.protocols, args.query_sizes)
    experiments, notes = plan.find_experiments(*names, **options_of(args))
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    if not experiments:
        raise UserError("none of these experiments can be run")
    run_ids = plan.parse_ids(args.run_ids)
    folders = {one: one.folder(args.runs_folder) for one in experiments}
    left = {
        one: [i for i in run_ids if not is_finished(folder / f"run_{i}")] for one, folder in folders.items()
    }
    if args.dry_run:
        slots = max(1, joblib.cpu_count() // args.cpus)
        print_plan(left, plan.pack(left, args.side_by_side, args.gpus > 0, slots), slots)
        return 0
    for experiment, folder in folders.items():
        if not left[experiment] and not is_collected(folder):  # a process died before it wrote these files
            aggregate(folder)
    util.tqdm.unattended = util.is_cluster
    failed = any(left.values()) and run_sweep(args, left) > 0
    if not any(left.values()):
        print("all runs are finished")
    for root in sorted({folder.parents[2] for folder in folders.values()}):
        print(f"results: {root}")
    return int(failed)


if __name__ == "__main__":
    run_script(main)
