"""The code in CONTRIBUTING.md works as it stands there, in a copy of this tree."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("core", "agents", "datasets", "configs", "tests", "evaluate.py", "pyproject.toml")


def test_shown_agent_and_dataset_run(tmp_path: Path) -> None:
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, tmp_path / part)
    text = (ROOT / "CONTRIBUTING.md").read_text()
    shown = re.findall(r"`(\w+/\w+\.py)`:\n\n```python\n(.*?)```", text, re.DOTALL)
    assert [name for name, _ in shown] == ["agents/uncertain_far.py", "datasets/friedman.py"]
    for name, code in shown:
        (tmp_path / name).write_text(code)

    options = ["--query_size", "3", "--budget", "6", "--restarts", "2"]
    command = [sys.executable, "evaluate.py", "--agent", "uncertain_far", "--dataset", "friedman", *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    contract = [sys.executable, "-m", "pytest", "-q", "tests/test_agents.py", "tests/test_config.py"]
    chosen = ["-k", "uncertain_far or names_folders or every_dataset", "-p", "no:cacheprovider"]
    tests = subprocess.run([*contract, *chosen], cwd=tmp_path, capture_output=True, text=True)
    assert tests.returncode == 0, tests.stdout
    folder = tmp_path / "runs/Friedman/3/UncertainFar"
    assert (folder / "accuracies.csv").read_text().startswith("added,run_1,run_2\n")
    assert "config: default.yaml" in (folder / "run_1/meta.txt").read_text()
