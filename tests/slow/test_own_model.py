"""The models that docs/ADD_A_MODEL.md shows are one file each, in a copy of the code without them."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: In one process: most of the time is imports.
SCRIPT = """
import evaluate
from core.models.variations import VARIATIONS
from core.report.leaderboard import task_label

assert {"mdn", "mdn_ensemble", "ridge"} <= set(VARIATIONS)
typed = "--dataset diabetes --query_size 2 --budget 4 --restarts 2".split()
for variation in ("mdn", "mdn_ensemble"):
    for agent in ("random", "bald", "balsa_kl_pairs", "balsa_emd"):
        assert evaluate.main(["--agent", agent, "--variation", variation, *typed]) == 0
for agent in ("random", "qbc", "nf_std"):
    assert evaluate.main(["--agent", agent, "--variation", "ridge", *typed]) == 0
assert task_label({"variation": "mdn_ensemble"}) == "ensemble of mixture density networks"
evaluate.main(["--agent", "gauss_std", "--variation", "mdn", *typed])
"""


def test_one_file_adds_a_model(tmp_path: Path) -> None:
    """tests/test_model_contract.py, test_side_by_side.py and others have it where it is built in."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in (name for name in tracked.stdout.splitlines() if "mdn" not in name):
        if Path(name).parts[0] in ("core", "agents", "datasets", "configs") or name.count("/") == 0:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    page = (ROOT / "docs/ADD_A_MODEL.md").read_text(encoding="utf-8")
    ridge = page.split("```python\n")[1].split("```")[0]
    mdn = (ROOT / "core/models/mdn.py").read_text(encoding="utf-8")
    for name, text in (("mdn", mdn), ("ridge", ridge)):
        (tmp_path / f"core/models/{name}.py").write_text(text, encoding="utf-8")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert "agent 'gauss_std' needs variation gauss or gp, not mdn\n" in done.stderr
    for variation, members in (("mdn", 1), ("mdn_ensemble", 5)):
        made = tmp_path / f"runs_{variation}/Diabetes/2"
        assert len(list(made.glob("*/accuracies.csv"))) == 4
        meta = (made / "RandomAgent/run_1/meta.txt").read_text(encoding="utf-8")
        assert {"model: mdn", f"members: {members}"} <= set(meta.splitlines())
    assert len(list((tmp_path / "runs_ridge/Diabetes/2").glob("*/accuracies.csv"))) == 3
