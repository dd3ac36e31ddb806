"""Groups of runs as tasks of Ray. Nothing but this file and ray_tune.py imports Ray, when it is needed."""

import hashlib
import importlib
import logging
import os
import secrets
import signal
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from .. import util
from ..errors import UserError
from ..experiment import Experiment
from ..files import write_file
from ..runs.files import aggregate, claimed, is_finished, runs_root, unpack
from ..runs.group import SideBySide
from ..runs.settings import agree_on_settings, plain, provenance, read_meta
from . import task
from .plan import Group, makespan

__all__ = ["ROOT", "Failure", "connected", "load_ray", "run_groups", "slots"]

ROOT = Path(__file__).resolve().parents[2]
#: Between two looks at which tasks have ended.
_SECONDS_TO_LOOK = 0.2
#: What tasks may take to write their checkpoints when a sweep is interrupted.
_SECONDS_TO_SAVE = 60.0


class Failure(NamedTuple):
    """A group that has unfinished runs for good."""

    group: Group
    reason: str
    log: Path


def load_ray(address: str | None, *others: str) -> Any:
    """Ray, which reports nothing to anybody.

    Args:
        address: of a cluster; the ports of a Ray of our own listen on this machine alone.
        others: modules of the extra `ray` that are needed, too.

    Raises:
        UserError: one is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if address is None:  # read when it is imported; on macOS and Windows it is the default
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it warns of it
    try:
        ray, *_ = map(importlib.import_module, ("ray", *others))
    except ImportError as error:
        raise UserError(f"{error.name} is not installed: pip install '.[ray]'") from error
    return ray


def _knock(address: str) -> None:
    """Raises a UserError if nobody listens at `[ray://]host:port`: Ray itself would wait for minutes."""
    host, _, port = address.removeprefix("ray://").partition(":")
    try:
        socket.create_connection((host, int(port or 10001)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise UserError(f"--address {address}: no cluster of Ray answers there ({error})") from error


@contextmanager
def connected(address: str | None) -> Iterator[Any]:
    """Ray, connected to a cluster, or to one of its own on this machine that ends with the context.

    Raises:
        UserError: there is no Ray, or no cluster at the address.
    """
    ray = load_ray(address)
    if address not in (None, "auto"):
        _knock(address)
    own = {"address": "local", "include_dashboard": False, "object_store_memory": 200 * 2**20}
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        ray.init(
            **({"address": address} if address else own), log_to_driver=False, logging_level=logging.ERROR
        )
    except (ConnectionError, ImportError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        what = f"--address {address}: no cluster of Ray answers there" if address else "Ray does not start"
        raise UserError(f"{what} ({_line(error)})") from error
    finally:
        for number, handler in handlers.items():  # Ray puts its own in their place
            signal.signal(number, handler)
    try:
        yield ray
    except (ConnectionError, ray.exceptions.RayError) as error:
        raise UserError(f"the connection to Ray is lost ({_line(error)})") from error
    finally:
        ray.shutdown()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def slots(ray: Any, cpus: int, gpus: float) -> int:
    """How many tasks that ask for so much can run at one time, now."""
    total = 0
    for node in ray.nodes():
        if node["Alive"]:
            has = node["Resources"]
            counts = [has.get("CPU", 0) // cpus, *([has.get("GPU", 0) / gpus + 1e-9] if gpus else [])]
            total += int(min(counts))
    return total


@contextmanager
def _tokens(roots: Sequence[Path]) -> Iterator[dict[Path, Path]]:
    """A file in each folder, by which a task knows that it sees the same folder."""
    tokens = {root: root / f".sweep-{secrets.token_hex(8)}" for root in roots}
    try:
        for root, token in tokens.items():
            root.mkdir(parents=True, exist_ok=True)
            token.touch(mode=0o600)
        yield tokens
    finally:
        for token in tokens.values():
            token.unlink(missing_ok=True)


def _log(group: Group) -> str:
    return f"sweep_{group.run_ids[0]}-{group.run_ids[-1]}.log"


#: Fields of an experiment that are no options of evaluate.py.
_NOT_TYPED = ("tried", "epoch_limit")


def _job(group: Group, runs_folder: Path, token: Path, code: str, options: Mapping[str, object]) -> task.Job:
    """What `task.run_group` takes; `code` is a digest of it."""
    experiment = group.experiment
    agreed = experiment.folder(runs_folder) / "settings.txt"
    # What a machine keeps for itself must not meet a sweep of other settings.
    whose = f"{socket.gethostname()} {runs_folder} {code} {experiment!r} {options}"
    return task.Job(
        root=str(ROOT),
        state=provenance()["code"],
        runs_folder=str(runs_folder),
        experiment=plain(
            {name: value for name, value in asdict(experiment).items() if name not in _NOT_TYPED}
        ),
        options=plain(options),
        token=str(token),
        name="runs-" + hashlib.sha256(whose.encode()).hexdigest()[:16],
        settings=read_meta(agreed) if agreed.exists() else None,
        run_ids=list(group.run_ids),
        log=_log(group),
    )


def run_groups(
    ray: Any,
    groups: Sequence[Group],
    runs_folder: Path,
    *,
    side_by_side: SideBySide,
    cpus: int,
    gpus: float,
    retries: int,
) -> list[Failure]:
    """Runs the groups as tasks, in their order; a bar shows how far they are.

    Args:
        side_by_side: runs of a group that are trained as one stack.
        cpus, gpus: what a task asks for.
        retries: how often a task whose process or machine died is begun again.

    Returns:
        What failed for good. When interrupted, the tasks write checkpoints first.
    """
    ray.cloudpickle.register_pickle_by_value(task)
    # A process makes few groups, one where it holds memory of a GPU: what libraries keep does not pile up.
    settings = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": retries, "max_calls": 1 if gpus else 10}
    run_group = ray.remote(**settings)(task.run_group)
    files = task.code_files(ROOT)
    code, digest = ray.put(files), task.digest(files)
    options = {"side_by_side": side_by_side, "threads": cpus, "device": "cuda" if gpus else "cpu"}
    roots = {g.experiment: _root(g.experiment, runs_folder) for g in groups}
    failures: list[Failure] = []
    left: dict[Any, Group] = {}
    with _tokens(sorted(set(roots.values()))) as tokens:
        bar = _Bar(groups)
        try:
            for group in groups:
                job = _job(group, runs_folder, tokens[roots[group.experiment]], digest, options)
                left[run_group.remote(job, code)] = group
            while left:
                bar.show(slots(ray, cpus, gpus))
                time.sleep(_SECONDS_TO_LOOK)  # here, as Ray's own waiting forgets which signal ended it
                ended, _ = ray.wait(list(left), num_returns=len(left), timeout=0)
                for ref in ended:
                    group = left[ref]
                    folder = group.experiment.folder(runs_folder)
                    reason, seconds = _end(ray, ref, folder, group)
                    del left[ref]
                    if reason:
                        failures.append(Failure(group, reason, folder / _log(group)))
                    bar.ended(group, seconds)
        except BaseException:
            _cancel(ray, list(left))
            raise
        finally:
            bar.close()
    return failures


def _root(experiment: Experiment, runs_folder: Path) -> Path:
    return runs_root(runs_folder, experiment.variation, experiment.protocol)


class _Bar:
    """Groups that have ended, and about how long the others will take."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self._groups = groups
        self._started = time.monotonic()
        self._estimated = self._taken = 0.0
        self._bar = util.tqdm(
            total=len(groups),
            desc="groups",
            bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]",
        )

    def ended(self, group: Group, seconds: float) -> None:
        self._estimated += group.seconds * (seconds > 0)
        self._taken += seconds
        self._bar.update()

    def show(self, slots: int) -> None:
        pace = self._taken / self._estimated if self._estimated else 1.0
        whole = makespan((group.seconds * pace for group in self._groups), max(1, slots))
        left = max(0.0, whole - (time.monotonic() - self._started))
        self._bar.set_postfix_str(f"about {timedelta(seconds=round(left))} left", refresh=False)
        if not self._bar.unattended:
            self._bar.refresh()

    def close(self) -> None:
        self._bar.set_postfix_str("", refresh=False)
        self._bar.close()


def _end(ray: Any, ref: Any, folder: Path, group: Group) -> tuple[str | None, float]:
    """Why a group has unfinished runs, None if it has none; the seconds it took, 0 if that is not known."""
    try:
        result = ray.get(ref)
    except ray.exceptions.RayTaskError as error:
        return str(error).strip().splitlines()[-1], 0.0
    except ray.exceptions.RayError as error:
        return str(error).strip().splitlines()[0], 0.0
    reason = result.reason
    if result.brought is not None:
        try:
            _store(folder, group, result.brought)
        except UserError as error:
            reason = str(error)
    return reason, result.seconds


def _store(folder: Path, group: Group, brought: task.Brought) -> None:
    """Writes the files of a group that was made in another folder. Their names are ours, not the task's.

    Raises:
        UserError: the runs that are there have other settings, or a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / _log(group), lambda path: path.write_bytes(brought.log))
    if brought.files:  # what has failed must not decide on the settings
        agree_on_settings(folder, brought.settings, group.run_ids, False)
    for run_id in group.run_ids:
        files = brought.files.get(run_id)
        with claimed(folder / f"run_{run_id}") as mine:
            if files is None or not mine or is_finished(folder / f"run_{run_id}"):
                continue  # another process has it
            unpack(folder / f"run_{run_id}", files)
    aggregate(folder)


def _cancel(ray: Any, refs: Sequence[Any]) -> None:
    """Interrupts the tasks as Ctrl-C would, and waits until they have written their checkpoints."""
    with suppress(Exception):  # the cluster itself may be what has failed
        for ref in reversed(refs):  # those that have not begun first, so that they do not
            ray.cancel(ref)
        ray.wait(list(refs), num_returns=len(refs), timeout=_SECONDS_TO_SAVE)
