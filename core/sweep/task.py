"""What tasks of Ray do: evaluate.py for one group of runs, or a trial of ray_tune.py.

This file travels by value and imports nothing of ours before `find_code` has found our code: the
folder that the sweep was started in, where this machine sees the same one, else a copy in
`~/.cache/balsa-benchmark`, named by its content. The kernels that numba compiles stay beside either,
so that a machine compiles them once for each version of the code.
"""

import contextlib
import hashlib
import importlib
import os
import shutil
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "Brought",
    "Job",
    "Result",
    "Search",
    "code_files",
    "digest",
    "find_code",
    "run_group",
    "run_trial",
]

_FOLDERS = ("core", "agents", "datasets", "configs")


def code_files(root: Path) -> dict[str, bytes]:
    """The files that an experiment needs of our code, by their relative names; none where it is not."""
    paths = [*root.glob("*.py")]
    for folder in _FOLDERS:
        paths += [path for path in (root / folder).rglob("*") if "__pycache__" not in path.parts]
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(paths) if path.is_file()}


def digest(code: dict[str, bytes]) -> str:
    """A name for this content."""
    return hashlib.sha256(repr(sorted(code.items())).encode()).hexdigest()[:16]


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(base).expanduser() / "balsa-benchmark"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def find_code(root: Path, code: dict[str, bytes]) -> Path:
    """`root` if it holds this code on this machine too, else a folder that does."""
    if code_files(root) == code:
        return root
    folder = _cache() / f"code-{digest(code)}"
    if folder.exists() and code_files(folder) != code:  # a power cut came while it was written
        shutil.rmtree(folder)
    if not folder.exists():
        part = Path(tempfile.mkdtemp(dir=_cache()))
        for name, data in code.items():
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            (part / name).write_bytes(data)
        try:
            part.rename(folder)
        except OSError:  # another task was faster
            shutil.rmtree(part)
    return folder


@dataclass(frozen=True)
class Job:
    """A group of runs to make.

    Attributes:
        root: where the sweep found its code, and `state`, what git says of it.
        runs_folder: the sweep's.
        experiment: the fields of the `Experiment`, each an option of evaluate.py.
        options: more of its options.
        token: a file that is there where the runs folder is the sweep's own.
        name: of a folder to use elsewhere.
        settings: those that the experiment's folder has agreed on, or None.
        run_ids: consecutive ids.
        log: the name of a file.
    """

    root: str
    state: str
    runs_folder: str
    experiment: dict[str, Any]
    options: dict[str, Any]
    token: str
    name: str
    settings: dict[str, Any] | None
    run_ids: list[int]
    log: str

    def arguments(self, runs_folder: Path) -> list[str]:
        """The command line of evaluate.py."""
        runs = {"run_id": self.run_ids[0], "restarts": len(self.run_ids), "runs_folder": runs_folder}
        options = {**self.experiment, **self.options, **runs}
        # True and False are 1 and 0 there; None, and the empty `config` of a sweep, are what is not typed.
        given = {name: value for name, value in options.items() if value is not None and value != {}}
        texts = {k: str(int(v) if isinstance(v, bool) else v) for k, v in given.items()}
        return [text for name, value in texts.items() for text in (f"--{name}", value)]


@dataclass(frozen=True)
class Brought:
    """What comes back from a machine that does not see the sweep's runs folder.

    Attributes:
        files: the contents of each finished run's files, by its id and their names.
        log: the content of the log.
        settings: those that its folder has agreed on.
    """

    files: dict[int, dict[str, bytes]]
    log: bytes
    settings: dict[str, Any]


@dataclass(frozen=True)
class Result:
    """How a job ended.

    Attributes:
        reason: None if all runs are finished now, else the line that says why not.
        seconds: taken.
        brought: None where the runs folder is the sweep's own.
    """

    reason: str | None
    seconds: float
    brought: Brought | None = None


def run_group(job: Job, code: dict[str, bytes]) -> Result:
    """Makes a group of runs.

    Args:
        code: as of `code_files`.
    """
    started = time.monotonic()
    sys.path.insert(0, str(find_code(Path(job.root), code)))
    os.environ["BENCHMARK_CODE"] = job.state  # a copy has no .git that could be asked
    from core.experiment import Experiment
    from core.runs.files import is_finished
    from core.runs.settings import read_meta, write_meta

    runs_folder = Path(job.runs_folder)
    shared = Path(job.token).exists()
    if not shared:
        runs_folder = _cache() / job.name / runs_folder.name
    folder = Experiment(**job.experiment).folder(runs_folder)
    folder.mkdir(parents=True, exist_ok=True)
    if not shared and job.settings:
        write_meta(folder / "settings.txt", job.settings)

    log = folder / job.log
    with log.open("a", buffering=1, encoding="utf-8", errors="backslashreplace") as file:
        begun = file.tell()
        with contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
            failed = _evaluate(job.arguments(runs_folder))
    said = log.read_bytes()[begun:].decode("utf-8", "replace")
    unfinished = [i for i in job.run_ids if not is_finished(folder / f"run_{i}")]
    brought = None
    if not shared:
        agreed = folder / "settings.txt"
        settings = read_meta(agreed) if agreed.exists() else {}
        brought = Brought(_take(folder, job.run_ids), log.read_bytes(), settings)
    reason = _reason(said, unfinished) if failed else None
    return Result(reason, time.monotonic() - started, brought)


def _evaluate(arguments: list[str]) -> bool:
    """Whether evaluate.py failed; what it says, it prints."""
    try:
        evaluate = importlib.import_module("evaluate")
        from core.cli import message
        from core.errors import UserError

        try:
            return evaluate.main(arguments) != 0
        except UserError as error:
            print(f"evaluate.py: {message(error)}", file=sys.stderr)
        except OSError as error:
            print(f"evaluate.py: {error}", file=sys.stderr)
    except KeyboardInterrupt:  # the sweep was interrupted
        print("evaluate.py: interrupted", file=sys.stderr)
        raise
    except SystemExit:  # its line has been printed
        pass
    except Exception:
        traceback.print_exc()
    return True


def _reason(said: str, unfinished: list[int]) -> str:
    """The error that ended all, else the last line about an unfinished run, else the last one."""
    lines = [line for line in said.replace("\r", "\n").splitlines() if line.strip() and "%|" not in line]
    if lines and lines[-1].startswith("evaluate.py: "):
        return lines[-1].strip()
    about = [line for line in lines if line.split(":")[0] in {f"run_{i}" for i in unfinished}]
    return (about or lines or ["it said nothing"])[-1].strip()


def _take(folder: Path, run_ids: list[int]) -> dict[int, dict[str, bytes]]:
    """The files of the finished runs. They stay here, too: the sweep may end before it has stored them."""
    from core.runs.files import is_finished, pack

    runs = {run_id: folder / f"run_{run_id}" for run_id in run_ids}
    return {run_id: pack(run) for run_id, run in runs.items() if is_finished(run)}


@dataclass(frozen=True)
class Search:
    """What all trials of a search have in common.

    Attributes:
        root, state: as of `Job`.
        config: the fields of the configuration that a trial's values replace some of.
        protocol, device, threads: of the training.
    """

    root: str
    state: str
    config: dict[str, Any]
    protocol: str
    device: str
    threads: int


def run_trial(values: dict[str, float], search: Search, code: dict[str, bytes], subsets: list[Any]) -> None:
    """A trial of Ray Tune: reports the validation NLL of each size of the labelled set, and their mean.

    Args:
        values: the hyper-parameters to try.
        code: as of `code_files`.
        subsets: as of `tuning.make_subsets`.
    """
    sys.path.insert(0, str(find_code(Path(search.root), code)))
    from ray import tune

    from core.cli import set_threads
    from core.config import Config
    from core.protocol import PROTOCOLS
    from core.training.tuning import validation_nll

    set_threads(search.threads)
    config = Config(**search.config | values)
    first, last = validation_nll(subsets, config, PROTOCOLS[search.protocol], search.device)
    tune.report({"validation_nll": (first + last) / 2, "nll_first": first, "nll_last": last})
