"""The code in CONTRIBUTING.md works as it stands there, in a copy of this tree, and needs no other edit."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
#: What the tests below need of this folder, beside its scripts; never runs or data that lie in it.
PARTS = ("core", "agents", "datasets", "configs", "docs", "policies", "tests", "CONTRIBUTING.md", "README.md")
SCRIPTS = ("*.py", "*.toml", "*.ipynb")

#: Of each file the tests that look at the registries, or draw them; without the slow ones.
CHOSEN = {
    "test_agents": "uncertain_far or names_folders",
    "test_config": "published_values or default_file",
    "test_ensemble": "dropout_of_an_ensemble",
    "test_distribution_agents": "is_scored_above",
    "test_evaluate": "wrong_input or names_everything",
    "test_sweep": "one_line or without_ray or cannot_be_run",
    "test_tuning": "wrong_input",
    "test_upper_bound": "wrong_input",
    "test_analysis": "not real_loggers and not all_pairs and not scipys_and_holms",
    "test_figures": "style or labels or registered or section_says or tables",
    "test_report": "on_nothing and report",
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


def test_shown_agent_is_listed(copy: Path) -> None:
    """Of itself it gives nothing but a first line; the command puts it into the page that a test compares."""
    line = "Spread of the predicted samples times the distance to the nearest labelled point."
    family = "An agent of our own: uncertain points that are far from the labelled ones"
    listed = run(copy, "evaluate.py", "--list").stdout
    assert f" {family}.\n  {'uncertain_far':28}{line}\n" in listed
    done = run(copy, "-m", "core.catalogue")
    assert done.returncode == 0, done.stderr
    page = (copy / "docs/AGENTS.md").read_text(encoding="utf-8")
    assert f"### {family}\n" in page
    assert f"| `uncertain_far` | `UncertainFar` | {line} | - | no | - | - |\n" in page
    done = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_catalogue.py")
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_test_asks_for_another_edit(copy: Path) -> None:
    files = [f"tests/{name}.py" for name in CHOSEN]
    chosen = " or ".join(f"({name} and ({tests}))" for name, tests in CHOSEN.items())
    done = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rA", *files, "-k", chosen)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in CHOSEN:
        assert f"PASSED tests/{name}.py" in done.stdout, f"nothing of {name} was chosen"
    assert "uncertain_far-gauss-published" in done.stdout
