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
from itertools import islice
from pathlib import Path
from typing import Any

__all__ = ["code_files", "digest", "find_code", "run_group", "run_trial"]

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
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def find_code(root: Path, code: dict[str, bytes]) -> Path:
    """`root` if it holds this code on this machine too, else a folder that does."""
    if code_files(root) == code:
        return root
    folder = _cache() / f"code-{digest(code)}"
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


def run_group(job: dict[str, Any], code: dict[str, bytes]) -> dict[str, Any]:
    """Makes a group of runs.

    Args:
        job: `root`, where the sweep found its code, and `state`, what git says of it; `runs_folder`;
            `place`, what else `experiment_folder` takes; `token`, a file that is there
            where the runs folder is the sweep's own, and `name`, of a folder to use elsewhere;
            `settings`, those that the experiment's folder has agreed on, or None; `run_ids`;
            `arguments` of evaluate.py, all but `--runs_folder`; `log`, the name of a file.
        code: as of `code_files`.

    Returns:
        `seconds` taken; `reason`, None if all runs are finished now, else the line that says why
        not. Where the runs folder is not the sweep's own, also `files` of each finished run by its
        id, the content of the `log`, and `settings`.
    """
    started = time.monotonic()
    sys.path.insert(0, str(find_code(Path(job["root"]), code)))
    os.environ["BENCHMARK_CODE"] = job["state"]  # a copy has no .git that could be asked
    from core.runs.layout import experiment_folder, is_finished
    from core.runs.settings import read_meta, write_meta

    runs_folder = Path(job["runs_folder"])
    shared = Path(job["token"]).exists()
    if not shared:
        runs_folder = _cache() / job["name"] / runs_folder.name
    folder = experiment_folder(runs_folder, *job["place"])
    folder.mkdir(parents=True, exist_ok=True)
    if not shared and job["settings"]:
        write_meta(folder / "settings.txt", job["settings"])

    log = folder / job["log"]
    with log.open("a", buffering=1, encoding="utf-8", errors="backslashreplace") as file:
        begun = file.tell()
        with contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
            failed = _evaluate([*job["arguments"], "--runs_folder", str(runs_folder)])
    said = log.read_bytes()[begun:].decode("utf-8", "replace")
    unfinished = [i for i in job["run_ids"] if not is_finished(folder / f"run_{i}")]
    result: dict[str, Any] = {"reason": _reason(said, unfinished) if failed else None}
    if not shared:
        result |= {"files": _take(folder, job["run_ids"]), "log": log.read_bytes(), "settings": {}}
        if (folder / "settings.txt").exists():
            result["settings"] = read_meta(folder / "settings.txt")
    return result | {"seconds": time.monotonic() - started}


def _evaluate(arguments: list[str]) -> bool:
    """Whether evaluate.py failed; what it says, it prints."""
    try:
        evaluate = importlib.import_module("evaluate")
        from core.errors import UserError

        try:
            return evaluate.main(arguments) != 0
        except (UserError, OSError) as error:
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
    """The last line about an unfinished run, else the last one of all."""
    lines = [line for line in said.replace("\r", "\n").splitlines() if line.strip() and "%|" not in line]
    about = [line for line in lines if line.split(":")[0] in {f"run_{i}" for i in unfinished}]
    return (about or lines or ["it said nothing"])[-1].strip()


def _take(folder: Path, run_ids: list[int]) -> dict[int, dict[str, bytes]]:
    """The files of the finished runs. They stay here, too: the sweep may end before it has stored them."""
    from core.runs.layout import is_finished, take

    runs = {run_id: folder / f"run_{run_id}" for run_id in run_ids}
    return {run_id: take(run) for run_id, run in runs.items() if is_finished(run)}


def run_trial(
    values: dict[str, float], job: dict[str, Any], code: dict[str, bytes], subsets: list[Any]
) -> None:
    """A trial of Ray Tune: reports the lowest validation NLL so far, and its epoch, after each epoch.

    Args:
        values: the hyper-parameters to try.
        job: `root` and `state` as of `run_group`; `config`, the fields of the configuration that they
            replace; `protocol`, `device`, `threads` and `epochs`.
        code: as of `code_files`.
        subsets: as of `tuning.make_subsets`.
    """
    sys.path.insert(0, str(find_code(Path(job["root"]), code)))
    from ray import tune

    from core.cli import set_threads
    from core.config import Config
    from core.protocol import PROTOCOLS
    from core.training.tuning import validation_nll

    set_threads(job["threads"])
    config = Config(**job["config"] | values)
    lowest, at = float("inf"), 0
    curve = validation_nll(subsets, config, PROTOCOLS[job["protocol"]], job["device"])
    for epoch, nll in enumerate(islice(curve, job["epochs"]), 1):
        if nll < lowest:
            lowest, at = nll, epoch
        tune.report({"validation_nll": lowest, "epoch": at})
