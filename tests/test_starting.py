"""What the scripts do not load before it is needed: a help text, or a slip, is answered at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import core
import evaluate
from core.options import options_of

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = sorted(path.name for path in ROOT.glob("*.py"))
#: Each takes 0.2 to 1.6 seconds to load.
SLOW = {"torch", "sklearn", "scipy", "pandas", "numba", "matplotlib"}
#: What neither names nor agents need.
OF_RUNS = {"sklearn", "scipy.stats", "pandas"}


def loaded(*typed: str, code: int) -> set[str]:
    """The modules that a script loads, as a process of its own that exits with this code."""
    command = [sys.executable, "-X", "importtime", str(ROOT / typed[0]), *typed[1:]]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == code, done.stderr[-2000:]
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert len(lines) > 10
    return {line.rpartition("|")[2].strip() for line in lines}


@pytest.mark.parametrize("script", SCRIPTS)
def test_help(script: str) -> None:
    assert not loaded(script, "--help", code=0) & SLOW


@pytest.mark.parametrize(
    "typed",
    [
        "evaluate.py --agent random --dataset diabetes --query_size 0",
        "evaluate.py --agent random --dataset diabetes --protocol nosuch",
        "evaluate.py --bogus",
        "evaluate.py --agent random",
        "evaluate_oracle.py",
        "compute_upper_bound.py",
        "ray_tune.py",
        "sweep.py --datasets diabetes",
        "learn_policy.py --out nowhere --steps nosuch",
    ],
)
def test_wrong_options(typed: str) -> None:
    assert not loaded(*typed.split(), code=2) & SLOW


@pytest.mark.parametrize(
    ("typed", "code"), [("--list", 0), ("--agent nosuch --dataset diabetes", 2)], ids=["list", "agent"]
)
def test_names(typed: str, code: int) -> None:
    assert not loaded("evaluate.py", *typed.split(), code=code) & OF_RUNS


def test_threads_are_limited_in_libraries_that_are_used_later() -> None:
    lines = [
        "from core.cli import set_threads; set_threads(1)",
        "import core, scipy.linalg, sklearn.cluster; core.AGENTS.classes; core.Experiment",
        "import threadpoolctl; print({one['num_threads'] for one in threadpoolctl.threadpool_info()})",
    ]
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    command = [sys.executable, "-c", "\n".join(lines)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "{1}"


def test_scripts_have_the_defaults_of_experiments() -> None:
    args = evaluate.parse_arguments(["--dataset", "diabetes", "--agent", "random"])
    assert core.Experiment(**options_of(args)) == core.Experiment("diabetes", "random")


def test_core_has_what_it_names() -> None:
    for name in dir(core):
        assert hasattr(core, name), name
    assert {"Experiment", "load_results"} <= set(dir(core))
    assert not hasattr(core, "experiments")
