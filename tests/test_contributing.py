"""The code in CONTRIBUTING.md works as it stands there, in a copy of this tree, and needs no other edit."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
#: What is known by its name alone: without git, this is all that a copy needs.
PARTS = ("core", "agents", "datasets", "configs", "tests", "CONTRIBUTING.md", "README.md", "constraints.txt")
SCRIPTS = ("*.py", "*.toml", "*.ipynb")

#: Of each file the tests that look at the registries, or draw them.
CHOSEN = {
    "test_agents.py": "uncertain_far or names_folders",
    "test_config.py": "",
    "test_ensemble.py": "dropout_of_an_ensemble",
    "test_distribution_agents.py": "is_scored_above",
    "test_evaluate.py": "wrong_input or names_everything",
    "test_sweep.py": "is_one_line or names",
    "test_tuning.py": "wrong_input",
    "test_upper_bound.py": "wrong_input",
    "test_analysis.py": "not real_loggers",
    "test_figures.py": "not notebook and not browser",
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This tree with the agent and the dataset that CONTRIBUTING.md shows."""
    folder = tmp_path_factory.mktemp("copy")
    for part in (ROOT / name for name in PARTS):
        if part.is_dir():
            shutil.copytree(part, folder / part.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(part, folder)
    for path in (path for pattern in SCRIPTS for path in ROOT.glob(pattern)):
        shutil.copy(path, folder)
    text = (ROOT / "CONTRIBUTING.md").read_text()
    shown = re.findall(r"`(\w+/\w+\.py)`:\n\n```python\n(.*?)```", text, re.DOTALL)
    assert [name for name, _ in shown][:2] == ["agents/uncertain_far.py", "datasets/friedman.py"]
    for name, code in shown:
        (folder / name).write_text(code)
    return folder


def run(copy: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *command], cwd=copy, env=environment, capture_output=True, text=True
    )


def test_shown_agent_and_dataset_run(copy: Path) -> None:
    options = ["--query_size", "3", "--budget", "6", "--restarts", "2"]
    done = run(copy, "evaluate.py", "--agent", "uncertain_far", "--dataset", "friedman", *options)
    assert done.returncode == 0, done.stderr
    folder = copy / "runs/Friedman/3/UncertainFar"
    assert (folder / "accuracies.csv").read_text().startswith("added,run_1,run_2\n")
    assert "config: default.yaml" in (folder / "run_1/meta.txt").read_text()
    done = run(copy, "report.py", "--out", "report.html")
    assert done.returncode == 0, done.stderr
    assert "curves_friedman_nf_q3" in (copy / "report.html").read_text()


@pytest.mark.parametrize("file", CHOSEN)
def test_no_test_asks_for_another_edit(copy: Path, file: str) -> None:
    assert (copy / "tests" / file).exists()
    chosen = ["-k", CHOSEN[file]] if CHOSEN[file] else []
    done = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"tests/{file}", *chosen)
    assert done.returncode == 0, done.stdout + done.stderr  # 5: none was chosen
