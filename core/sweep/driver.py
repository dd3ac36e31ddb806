"""Groups of runs as Ray tasks: first the sweep's side, then the side of a task on its machine.

Only this file and ray_tune.py import Ray, when it is needed.
"""

import contextlib
import hashlib
import importlib
import logging
import math
import os
import pickle
import signal
import socket
import time
import traceback
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from .. import util
from ..cli import message, pick_device, set_threads
from ..errors import UserError
from ..files import one_line, parse_yaml, write_file
from ..runs.files import aggregate, claimed, is_finished, pack, unpack
from ..runs.group import SideBySide
from ..runs.settings import agree_on_settings, first_difference, provenance, read_meta
from .plan import Group

#: The folder of our code: in a task on a cluster, Ray's copy of it, named by a digest of what is in it.
ROOT = Path(__file__).resolve().parents[2]
#: What Ray sends of our folder to the machines of a cluster.
_CODE = (".", "core", "agents", "datasets", "configs", "policies", "*.py")
#: Between two looks at which tasks have ended.
_SECONDS_TO_LOOK = 0.2
#: Seconds that tasks may take to write their checkpoints when a sweep is interrupted.
_SECONDS_TO_SAVE = 60.0


def _knock(address: str) -> None:
    """Raises a UserError if nothing listens at `[ray://]host:port`, where Ray would wait for minutes."""
    host, _, port = address.removeprefix("ray://").partition(":")
    try:
        socket.create_connection((host, int(port or 10001)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise UserError(f"--address {address}: no cluster of Ray answers there ({error})") from error


@contextlib.contextmanager
def connected(address: str | None, *modules: str) -> Iterator[Any]:
    """Ray, connected to a cluster, or started on this machine until the end of the context.

    A cluster gets our code; a Ray that we start listens on this machine only. `modules` are other packages of
    the extra `ray` that are needed. A UserError if one is not installed, there is no cluster at the address,
    or the connection is lost.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if address is None:  # read when it is imported; on macOS and Windows it is the default
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it warns of it
    try:
        ray, *_ = map(importlib.import_module, ("ray", *modules))
    except ImportError as error:
        raise UserError(f"{error.name} is not installed: pip install -e '.[ray]'") from error
    where: dict[str, Any] = {"address": "local", "include_dashboard": False, "object_store_memory": 2 * 10**8}
    if address is not None:
        if address != "auto":
            _knock(address)
        code = {"working_dir": str(ROOT), "excludes": ["/*", *(f"!/{name}" for name in _CODE), "__pycache__"]}
        state = {"BENCHMARK_CODE": provenance()["code"]}  # a copy has no .git that could be asked
        where = {"address": address, "runtime_env": {**code, "env_vars": state}}
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        ray.init(**where, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ImportError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        what = f"--address {address}: no cluster of Ray answers there" if address else "Ray does not start"
        raise UserError(f"{what} ({one_line(error)})") from error
    finally:
        for number, handler in handlers.items():  # Ray puts its own in their place
            signal.signal(number, handler)
    try:
        yield ray
    except (ConnectionError, ray.exceptions.RayError) as error:
        raise UserError(f"the connection to Ray is lost ({one_line(error)})") from error
    finally:
        ray.shutdown()


def slots(ray: Any, cpus: int, gpus: float) -> int:
    """How many tasks with these demands can run at a time, now."""
    total = 0
    for has in (node["Resources"] for node in ray.nodes() if node["Alive"]):
        by_gpus = has.get("GPU", 0) / gpus + 1e-9 if gpus else math.inf
        total += int(min(has.get("CPU", 0) // cpus, by_gpus))
    return total


def run_groups(
    ray: Any, groups: Sequence[Group], runs_folder: Path, side_by_side: SideBySide, cpus: int, gpus: float
) -> list[tuple[Group, str]]:
    """Runs the groups as tasks with so many cores and GPUs; returns those with unfinished runs, and why.

    When interrupted, the tasks write checkpoints first.
    """

    def run_group(arguments: bytes) -> Any:
        """Imports our code in the task alone: Ray's own processes on the way there cannot load torch."""
        from core.sweep.driver import make_runs

        return make_runs(*pickle.loads(arguments))

    # If its process or machine dies, a task starts again, up to three times. A process makes few groups, or
    # one on a GPU, so that memory that libraries keep does not pile up.
    task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=3, max_calls=1 if gpus else 10)(run_group)
    failures: list[tuple[Group, str]] = []
    left: dict[Any, Group] = {}
    root = groups[0].experiment.folder(runs_folder).parents[2]
    root.mkdir(parents=True, exist_ok=True)
    # A task that sees this file sees the sweep's runs folders.
    with (
        NamedTemporaryFile(prefix=".sweep-", dir=root) as marker,
        util.tqdm(total=len(groups), desc="groups") as bar,
    ):
        how = (runs_folder, marker.name, socket.gethostname(), side_by_side, cpus, "cuda" if gpus else "cpu")
        try:
            for group in groups:
                settings = group.experiment.folder(runs_folder) / "settings.txt"
                agreed = settings.read_bytes() if settings.exists() else b""
                left[task.remote(pickle.dumps((group, agreed, *how)))] = group
            while left:
                time.sleep(_SECONDS_TO_LOOK)  # Ray's own waiting forgets which signal ended it
                for ref in ray.wait(list(left), num_returns=len(left), timeout=0)[0]:
                    group = left.pop(ref)
                    if reason := _end(ray, ref, group, runs_folder):
                        failures.append((group, reason))
                    bar.update()
        except BaseException:
            _cancel(ray, left)
            raise
    return failures


def _end(ray: Any, ref: Any, group: Group, runs_folder: Path) -> str | None:
    """Stores the results of an ended task; why its group has unfinished runs, None if it has none."""
    try:
        reason, *brought = ray.get(ref)
        if brought:
            _store(group, runs_folder, *brought)
        return reason
    except ray.exceptions.RayError as error:
        lines = str(error).strip().splitlines()
        return lines[-1 if isinstance(error, ray.exceptions.RayTaskError) else 0]
    except UserError as error:
        return message(error)


def _store(
    group: Group, runs_folder: Path, log: bytes, settings: dict[str, Any], runs: dict[int, dict[str, bytes]]
) -> None:
    """Writes what `make_runs` returned, except runs that another process has made or is making."""
    folder = group.experiment.folder(runs_folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_file(group.log(runs_folder), lambda path: path.write_bytes(log))
    if runs:  # what has failed must not decide on the settings
        agree_on_settings(folder, settings, group.run_ids, False)
    for run_id, files in runs.items():
        run = folder / f"run_{run_id}"
        with claimed(run) as mine:
            if mine and not is_finished(run):
                unpack(run, files)
    aggregate(folder)


def _cancel(ray: Any, refs: Collection[Any]) -> None:
    """Interrupts the tasks as Ctrl-C would, and waits until they have written their checkpoints."""
    with contextlib.suppress(Exception):  # the cluster itself may be what has failed
        for ref in reversed(list(refs)):  # those that have not begun first, so that they do not
            ray.cancel(ref)
        ray.wait(list(refs), num_returns=len(refs), timeout=_SECONDS_TO_SAVE)


def make_runs(
    group: Group,
    agreed: bytes,
    runs_folder: Path,
    marker: str,
    driver: str,
    side_by_side: SideBySide,
    threads: int,
    device: str,
) -> tuple[Any, ...]:
    """Makes a group of runs, in a task; returns why runs are unfinished, None if all are finished.

    A machine that does not see the sweep's runs folder also returns the log, the experiment's settings, and
    each finished run's files by its id.

    Args:
        agreed: the settings of the runs that the sweep's machine has, if there are any.
        marker: a file in the sweep's runs folder.
        driver: name of the machine of the sweep.
    """
    from evaluate import play, summarise

    experiment = replace(group.experiment, policy=None)  # the agent's own, which lies elsewhere here
    shared, there = Path(marker).exists(), experiment.folder(runs_folder)
    if not shared:
        # The same folder for the next try here, so that it resumes from the checkpoints.
        key = hashlib.sha256(f"{driver} {runs_folder} {group.experiment!r}".encode()).hexdigest()[:16]
        runs_folder = ROOT / f"runs-{key}" / runs_folder.name
    folder, log = experiment.folder(runs_folder), group.log(runs_folder)
    folder.mkdir(parents=True, exist_ok=True)
    set_threads(threads)
    with (
        log.open("a", buffering=1, encoding="utf-8", errors="backslashreplace") as file,
        contextlib.redirect_stdout(file),
        contextlib.redirect_stderr(file),
    ):
        try:
            if agreed and not shared:
                difference = first_difference(there, parse_yaml(agreed), experiment.settings())
                if difference:
                    raise UserError(difference, "settings")
            how: Any = {"side_by_side": side_by_side, "play": partial(play, experiment=experiment)}
            ids = experiment.run(group.run_ids, runs_folder, device=pick_device(device), **how)
            if ids:
                summarise(experiment.agent, folder, ids)
            left = [f"run_{run_id}" for run_id in group.run_ids if run_id not in ids]
            reason = f"not finished, for reasons in the log: {', '.join(left)}" if left else None
        except UserError as error:
            reason = message(error)
        except Exception as error:
            traceback.print_exc()
            reason = one_line(f"{type(error).__name__}: {error}")
        print(reason or "finished")
    if shared:
        return (reason,)
    # The files stay here, too: the sweep may end before it has stored them.
    runs = {run_id: folder / f"run_{run_id}" for run_id in group.run_ids}
    finished = {run_id: pack(run) for run_id, run in runs.items() if is_finished(run)}
    settings = read_meta(folder / "settings.txt") if finished else {}
    return reason, log.read_bytes(), settings, finished
