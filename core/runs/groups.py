"""The runs of one experiment: in groups side by side, each run by one process at a time."""

import argparse
import math
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

import joblib
import psutil
import torch

from ..config import note_default_config
from ..dataset import Dataset
from ..errors import UserError
from ..training.lockstep import Fitting, side_by_side
from .collecting import aggregate
from .layout import POINTS, PREDICTIONS, claimed, discard, is_finished
from .settings import agree_on_settings, check_settings

__all__ = ["Start", "group_size", "run_restarts"]

#: Makes a run: its id, its folder, and what its progress bar says (None for no bar).
Start: TypeAlias = Callable[[int, Path, str | None], Fitting[None]]


def run_restarts(
    args: argparse.Namespace,
    folder: Path,
    settings: Mapping[str, object],
    dataset: Dataset,
    device: torch.device,
    start: Start,
) -> list[int]:
    """Makes the runs `run_id` ... `run_id + restarts - 1`, those that are finished already left out.

    A run whose training diverges is named on stderr and does not stop the others.

    Args:
        args: as of `cli.add_experiment_arguments`, and `record_points` where there is one.
        folder: the experiment's.
        settings: what all runs there must have in common.
        dataset: of any of the runs, to know how much memory one takes.
        device: where the runs work.
        start: one run, from its own seeds alone.

    Returns:
        The ids of those that are finished now, ascending; `folder` holds their collected files.

    Raises:
        UserError: there are runs of other settings.
    """
    run_ids = range(args.run_id, args.run_id + args.restarts)
    agree_on_settings(folder, settings, run_ids, bool(args.overwrite))
    note_default_config(str(settings["dataset"]), str(settings["config"]))
    size = group_size(args, dataset, device)
    finished = []
    for first in range(0, len(run_ids), size):
        group = run_ids[first : first + size]
        title = f"run_{group[0]}" + f" to run_{group[-1]}" * (len(group) > 1)
        runs = [
            _claiming(args, folder, settings, run_id, start, title if run_id == group[0] else None)
            for run_id in group
        ]
        with closing(side_by_side(runs)) as ending:  # an error leaves runs that must still be saved
            for i, ended in ending:
                if ended is True:
                    finished.append(group[i])
                elif isinstance(ended, FloatingPointError):
                    print(f"run_{group[i]}: {ended}", file=sys.stderr)
                elif isinstance(ended, Exception):
                    raise ended
    if not finished:
        return []
    # A process may have died between a run's last file and the collected ones; another one may be making a
    # run anew that this one has finished.
    return [run_id for run_id in aggregate(folder) if run_id in finished]


def _claiming(
    args: argparse.Namespace,
    folder: Path,
    settings: Mapping[str, object],
    run_id: int,
    start: Start,
    title: str | None,
) -> Fitting[bool]:
    """One run; whether it is finished, now or before. False if another process is at it."""
    log_path = folder / f"run_{run_id}"
    with claimed(log_path, wait=0.2) as mine:  # others look whether it is claimed, by claiming it
        if not mine:
            print(f"{log_path.name}: another process is at it", file=sys.stderr)
            return False
        # They may have been changed by --overwrite since they were agreed on; from now on they cannot.
        check_settings(folder, settings)
        if args.overwrite:
            discard(log_path)
        if is_finished(log_path):
            for option, file in (("record_points", POINTS), ("record_predictions", PREDICTIONS)):
                if getattr(args, option, 0) and not (log_path / file).exists():
                    raise UserError(f"{log_path} was made without --{option} 1: --overwrite 1 makes it anew")
            print(f"{log_path.name}: finished already (--overwrite 1 makes it anew)", file=sys.stderr)
            return True
        yield from start(run_id, log_path, title)
        return True


def group_size(args: argparse.Namespace, dataset: Dataset, device: torch.device) -> int:
    """Runs to do side by side; what `--side_by_side auto` stands for is said on stderr.

    `auto` makes even groups of at most 25, by when nearly all is gained. Every core may have a
    process like this one: half of the free memory is divided among them.
    """
    if args.side_by_side != "auto":
        return min(args.side_by_side, args.restarts)
    parts = (dataset.x_train, dataset.x_val, dataset.x_test)
    # The data, a copy of them in the stack, and the pieces that validation works on.
    bytes_per_run = 3 * sum(part.nbytes for part in parts) + 32 * 2**20
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
    else:
        free = psutil.virtual_memory().available
    processes = max(1, joblib.cpu_count() // args.threads)
    most = max(1, min(25, free // 2 // processes // bytes_per_run))
    groups = math.ceil(args.restarts / most)
    size = math.ceil(args.restarts / groups)
    if args.restarts > 1:
        print(f"note: {size} runs side by side, {groups} group{'s' * (groups > 1)}", file=sys.stderr)
    return size
