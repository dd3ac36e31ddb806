"""What code made a result."""

import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

__all__ = ["provenance"]

_PACKAGES = ("torch", "zuko", "numpy", "scikit-learn", "faiss-cpu")


def provenance() -> dict[str, str]:
    """The git state of this code, and the versions of Python and of the packages behind the numbers."""
    code = "unknown"
    if git := shutil.which("git"):
        folder = Path(__file__).resolve().parent
        command = [git, "-C", str(folder), "describe", "--always", "--dirty"]
        described = subprocess.run(command, capture_output=True, text=True)
        code = described.stdout.strip() or code
    return {"code": code, "python": platform.python_version()} | {name: version(name) for name in _PACKAGES}
