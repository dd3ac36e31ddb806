"""The settings that the runs of an experiment share, their code and machine, and the files with both."""

import ast
import hashlib
import inspect
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import MISSING, fields
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import faiss
import numba
import numpy as np
import torch
import yaml
from filelock import FileLock
from numba.core.registry import cpu_target

from ..config import Config
from ..errors import UserError
from ..files import one_line, parse_yaml, read_bytes, write_file
from . import checkpoint
from .files import META, aggregate, claimed, discard, finished_runs, id_of, is_finished, run_folders

#: Settings that older runs lack, with the values that they were made with, the defaults of later keys.
SINCE: dict[str, Any] = {"protocol_version": 1, "agent_version": 1, "decisions": {}} | {
    key.name: key.default for key in fields(Config) if key.default is not MISSING
}
#: What a difference in a digest means.
_DIGESTS = {
    "agent_code": "other code of the agent: digest",
    "data": "other data: digest",
}


def agree_on_settings(
    experiment: Path, settings: Mapping[str, object], run_ids: Sequence[int], overwrite: bool
) -> None:
    """Checks that all runs of an experiment have the settings in its `settings.txt`, or writes that file.

    A UserError if they differ. With `overwrite`, runs of other settings are deleted, if all are in `run_ids`.
    """
    experiment.mkdir(parents=True, exist_ok=True)
    path = experiment / "settings.txt"
    with FileLock(experiment / ".lock"):
        files = [path] if path.exists() else [run / META for run in finished_runs(experiment)]
        said = (first_difference(file.parent, read_meta(file), settings) for file in files)
        difference = next(filter(None, said), "")
        if difference:
            if not overwrite:
                raise UserError(difference, "settings")
            _discard_all(experiment, run_ids, difference)
        if difference or not path.exists():
            write_meta(path, settings)
    if difference:
        aggregate(experiment)


def _discard_all(experiment: Path, run_ids: Sequence[int], difference: str) -> None:
    """Deletes all runs there; a UserError if there are others than these, or one is being made."""
    folders = run_folders(experiment)
    with ExitStack() as claims:
        if not all([claims.enter_context(claimed(folder)) for folder in folders]):
            raise UserError(f"{difference}, and another process is at a run")
        begun = [folder for folder in folders if is_finished(folder) or (folder / checkpoint.FILE).exists()]
        if any(id_of(folder) not in run_ids for folder in begun):
            raise UserError(difference, "settings")
        for folder in begun:
            discard(folder)


def differences(
    one: Mapping[str, Any], other: Mapping[str, Any], but: Collection[str] = ()
) -> dict[str, tuple[Any, Any]]:
    """The settings that differ, but for some; what only one of them notes is no difference."""
    names = (name for name in one if name in other and name not in but)
    return {name: (one[name], other[name]) for name in names if one[name] != other[name]}


def first_difference(folder: Path, found: Mapping[str, Any], wanted: Mapping[str, object]) -> str:
    """The first setting in which runs there differ from those wanted, in words; empty if none does."""
    # What is missing differs, too; but older code noted the seed set of tables alone.
    found = {**dict.fromkeys(wanted), "seed_set": wanted.get("seed_set"), **SINCE, **found}
    for name, (value, made) in differences(plain(wanted), found).items():
        return f"{folder} was made with {_DIGESTS.get(name, name)} {one_line(made)}, not {value}"
    return ""


def plain(settings: Mapping[str, object]) -> dict[str, Any]:
    """The settings as YAML's plain values: numbers, texts, None, and lists and mappings of them."""

    def convert(value: Any) -> Any:
        return value.item() if isinstance(value, np.generic) else str(value)

    return dict(json.loads(json.dumps({**settings}, default=convert)))


def write_meta(path: Path, settings: Mapping[str, object]) -> None:
    """Writes `meta.txt` or `settings.txt`: YAML, a line `name: value` for each setting."""
    parts = []
    for name, value in plain(settings).items():
        in_one_line = None if isinstance(value, list) else False
        parts.append(yaml.safe_dump({name: value}, default_flow_style=in_one_line, width=10_000))
    write_file(path, lambda part: part.write_text("".join(parts), encoding="utf-8"))


def read_meta(path: Path) -> dict[str, Any]:
    """The settings in a file that `write_meta` wrote; a UserError if it is no YAML mapping."""
    try:
        found = parse_yaml(read_bytes(path))
    except ValueError as error:
        raise UserError(f"{path} is damaged: {one_line(error)}") from error
    if not isinstance(found, dict):
        raise UserError(f"{path} is damaged: it holds no 'name: value' lines")
    return found


@cache
def provenance() -> dict[str, str]:
    """What a run's last bits depend on: code, versions of libraries, machine.

    The code is Git's state, or the variable BENCHMARK_CODE.
    """
    code = os.environ.get("BENCHMARK_CODE", "unknown")
    if git := shutil.which("git"):
        command = [git, "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
        code = subprocess.run(command, capture_output=True, text=True).stdout.strip() or code
    instructions = torch.backends.cpu.get_cpu_capability()
    machine = f"{platform.system()} {platform.machine()}, {instructions}, {os.cpu_count()} cores"
    packages = {name: version(name) for name in ("torch", "zuko", "numba", "numpy", "scikit-learn")}
    packages["faiss"] = faiss.__version__  # it comes as faiss-cpu, faiss-gpu or conda's faiss
    about = Path("/proc/cpuinfo")  # Linux's
    model = about.exists() and re.search(r"model name\s*: (.+)", about.read_text(encoding="utf-8"))
    tuned_for = cpu_target.target_context.codegen().magic_tuple()[1]
    return {
        "code": code,
        "python": platform.python_version(),
        "machine": machine,
        **packages,
        "processor": model[1] if model else platform.processor() or platform.machine(),
        "processor of numba": "none" if numba.config.DISABLE_JIT else tuned_for,  # type: ignore[attr-defined]
    }


def begun_elsewhere(then: Mapping[str, str], here: Mapping[str, str]) -> str:
    """In words, the `provenance` of a run when it was begun that is another here; empty if all is the same.

    What older code did not keep is taken to be the same.
    """
    differing = differences(here, then).items()
    return ", ".join(f"{name} {before}, not {now}" for name, (now, before) in differing)


def code_digest(cls: type) -> str:
    """A digest of the module that defines an agent, so that runs of edited code do not mix.

    It covers the syntax tree without docstrings, not what the module imports. Another minor version of Python
    may change it. For a class in a notebook it covers its functions, or is `unknown`.
    """
    module = sys.modules[cls.__module__]
    has_file = getattr(module, "__file__", None)
    parts = [module] if has_file else [part for part in vars(cls).values() if inspect.isfunction(part)]
    try:
        tree = ast.parse("\n".join(textwrap.dedent(inspect.getsource(part)) for part in parts))
    except (OSError, SyntaxError):  # no source, or part of a longer statement
        return "unknown"
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:12] if parts else "unknown"
