"""What code made a result."""

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import faiss
import torch

__all__ = ["other_versions", "provenance", "versions"]

_PACKAGES = ("torch", "zuko", "numba", "numpy", "scikit-learn")
#: Of a checkpoint: what computes or draws the numbers of a run.
_COMPUTING = ("torch", "numpy", "numba", "scikit-learn")


def versions() -> dict[str, str]:
    """The versions here of the libraries that a run's numbers come from."""
    return {name: version(name) for name in _COMPUTING}


def other_versions(then: Mapping[str, str]) -> str:
    """In words, how the versions here differ from those that a run was begun with; empty if they do not."""
    here = versions()
    return ", ".join(f"{name} {then[name]}, not {here[name]}" for name in here if then[name] != here[name])


def provenance() -> dict[str, str]:
    """The git state of this code, the versions behind the numbers, and the kind of machine.

    A copy without git takes the state from the environment variable BENCHMARK_CODE.
    """
    code = os.environ.get("BENCHMARK_CODE", "unknown")
    if git := shutil.which("git"):
        folder = Path(__file__).resolve().parent
        command = [git, "-C", str(folder), "describe", "--always", "--dirty"]
        described = subprocess.run(command, capture_output=True, text=True)
        code = described.stdout.strip() or code
    # faiss comes as faiss-cpu, faiss-gpu or conda's faiss.
    versions = {name: version(name) for name in _PACKAGES} | {"faiss": faiss.__version__}
    instructions = torch.backends.cpu.get_cpu_capability()  # results may differ by them
    machine = f"{platform.system()} {platform.machine()}, {instructions}, {os.cpu_count()} cores"
    return {"code": code, "python": platform.python_version(), "machine": machine} | versions
