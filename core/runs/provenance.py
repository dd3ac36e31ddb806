"""What code made a result."""

import os
import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import faiss

__all__ = ["RESULTS_VERSION", "provenance"]

#: Goes up when the same command gives other numbers or files than before; runs of two versions do not mix.
RESULTS_VERSION = 3

_PACKAGES = ("torch", "zuko", "numba", "numpy", "scikit-learn")


def provenance() -> dict[str, str]:
    """The git state of this code, and the versions of Python and of the packages behind the numbers.

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
    return {"code": code, "python": platform.python_version()} | versions
