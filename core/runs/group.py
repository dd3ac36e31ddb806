"""The runs of one experiment: in groups side by side, each run by one process at a time."""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

import joblib
import psutil
import torch

from ..dataset import Dataset
from ..errors import UserError
from ..files import remove
from ..training.side_by_side import side_by_side
from ..util import bar
from . import checkpoint
from .files import aggregate, claimed, discard, is_finished
from .settings import agree_on_settings, first_difference, read_meta

#: Runs that are trained as one stack; `auto`: as many as help and fit into memory.
SideBySide: TypeAlias = int | Literal["auto"]


def run_all(
    folder: Path,
    settings: Mapping[str, object],
    run_ids: Sequence[int],
    start: Callable[[int, Path], None],
    *,
    size: int,
    overwrite: bool = False,
    wanted: Sequence[str] = (),
) -> list[int]:
    """Makes the unfinished runs of an experiment, `size` of them side by side.

    `start` makes one run, given its id and its folder. A run whose training diverges is reported on stderr
    and does not stop the others. `wanted` are files that a finished run must have, besides those that every
    run has. Returns the ids of the runs that are finished now; `folder` has their collected files.
    """
    agree_on_settings(folder, settings, run_ids, overwrite)

    def make(run_id: int, title: str | None) -> bool:
        """Makes one run; whether it is finished."""
        run_folder = folder / f"run_{run_id}"
        bar.set({"disable": True} if title is None else {"desc": title})
        # Other processes lock a run for a moment, to see whether somebody is making it.
        with claimed(run_folder, wait=0.2) as mine:
            if not mine:
                print(f"run_{run_id}: another process is making it", file=sys.stderr)
                return False
            # Another process may have changed them in the meantime; from now on none can.
            if difference := first_difference(folder, read_meta(folder / "settings.txt"), settings):
                raise UserError(difference, "settings")
            if overwrite:
                discard(run_folder)
            if is_finished(run_folder):
                remove(run_folder / checkpoint.FILE)  # its process died just before it did so
                if lacking := [name for name in wanted if not (run_folder / name).exists()]:
                    raise UserError(f"{run_folder} was made without {', '.join(lacking)}", "overwrite")
                print(f"run_{run_id}: already finished", file=sys.stderr)
                return True
            try:
                start(run_id, run_folder)
            except FloatingPointError as error:
                print(f"run_{run_id}: {error}", file=sys.stderr)
                return False
            return True

    finished = []
    for first in range(0, len(run_ids), size):
        group = run_ids[first : first + size]
        title = f"run_{group[0]}" + f" to run_{group[-1]}" * (len(group) > 1)
        done = side_by_side([partial(make, i, title if i == group[0] else None) for i in group])
        finished += [run_id for run_id, ended in zip(group, done, strict=True) if ended]
    if not finished:
        return []
    # A process may have died before it collected its runs; another may be making one of ours again.
    return [run_id for run_id in aggregate(folder) if run_id in finished]


#: More runs side by side gain little on the CPU; on a GPU more were not measured (docs/PERFORMANCE.md).
MOST, MOST_ON_GPU = 25, 100


def group_size(runs: int, side_by_side: SideBySide, dataset: Dataset, device: torch.device) -> int:
    """How many runs to train side by side; prints what `auto` chose on stderr.

    `auto` makes even groups that need at most half of the free memory. On the CPU, processes on all cores
    share that half.
    """
    if side_by_side != "auto":
        return min(side_by_side, runs)
    parts = (dataset.x_train, dataset.x_val, dataset.x_test)
    # The data, a copy of them in the stack, and the pieces that validation works on.
    bytes_per_run = 3 * sum(part.nbytes for part in parts) + 32 * 2**20
    if device.type == "cuda":
        (free, _), limit, processes = torch.cuda.mem_get_info(device), MOST_ON_GPU, 1
    else:
        free, limit = psutil.virtual_memory().available, MOST
        processes = max(1, joblib.cpu_count() // torch.get_num_threads())
    most = max(1, min(limit, free // 2 // processes // bytes_per_run))
    groups = math.ceil(runs / most)
    size = math.ceil(runs / groups)
    if runs > 1:
        print(f"note: {size} runs side by side, {groups} group{'s' * (groups > 1)}", file=sys.stderr)
    return size
