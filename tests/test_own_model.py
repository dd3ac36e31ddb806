"""docs/ADD_A_MODEL.md's model, in one file of a copy of the code: it runs, alone and as an ensemble."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own_model")
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in tracked.stdout.splitlines():
        if Path(name).parts[0] in ("core", "agents", "datasets", "configs", "tests") or name.count("/") == 0:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    page = (ROOT / "docs/ADD_A_MODEL.md").read_text(encoding="utf-8")
    (folder / "core/models/mdn.py").write_text(page.split("```python\n")[1].split("```")[0], encoding="utf-8")
    return folder


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize("variation", ["mdn", "mdn_ensemble"])
def test_agents_choose_with_it(copy: Path, variation: str) -> None:
    for agent in ("random", "bald", "balsa_kl_pairs", "balsa_emd"):
        typed = f"evaluate.py --agent {agent} --dataset diabetes --query_size 10 --budget 20 --restarts 2"
        done = python(copy, *typed.split(), "--variation", variation)
        assert done.returncode == 0, done.stderr
    assert len(list((copy / f"runs_{variation}/Diabetes/10").glob("*/accuracies.csv"))) == 4
    refused = python(copy, *typed.replace(agent, "gauss_std").split(), "--variation", variation)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)


def test_contract_and_rooms(copy: Path) -> None:
    files = ("tests/test_model_contract.py", "tests/test_rooms.py")
    done = python(copy, "-m", "pytest", "-q", "-k", "mdn or room", "-p", "no:cacheprovider", *files)
    assert done.returncode == 0, done.stdout[-3000:]
    said = python(copy, "evaluate.py", "--help")
    assert "mdn_ensemble" in said.stdout
