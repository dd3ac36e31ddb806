"""What `pip install -e .` gives: the benchmark can be imported from any folder."""

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = """
import gymnasium
import core, core.rl
assert core.AGENTS["lcmd"] and core.DATASETS["diabetes"]
gymnasium.spec("BalsaBench/Diabetes-v0")
print(core.__file__)
"""


def test_a_script_anywhere_can_import_it(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", "77.0.3", reason="pip builds the project with it")
    clone, env = tmp_path / "clone", tmp_path / "env"  # pip writes into the folder that it installs
    shutil.copytree(ROOT, clone, ignore=lambda _, names: {*names} - {"pyproject.toml", "LICENSE"})
    for part in ("core", "agents", "datasets", "configs", "policies"):
        shutil.copytree(ROOT / part, clone / part)
    venv.create(env)
    # pip and the dependencies are those that are here already.
    scheme = {"base": str(env), "platbase": str(env)}
    site = Path(sysconfig.get_path("purelib", vars=scheme))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    python = env / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    flags = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    subprocess.run([python, "-m", "pip", "install", *flags, "-e", clone], check=True, timeout=120)
    # Isolated: neither the current folder nor PYTHONPATH is on the path.
    done = subprocess.run(
        [python, "-I", "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == clone / "core/__init__.py"
