"""core.sweep.cost: its measurements are those of docs/performance, and its estimates what they were."""

import csv
import importlib
from pathlib import Path

import pytest

from core.sweep.cost import Costs

ROOT = Path(__file__).resolve().parent.parent
COSTS = ROOT / "core/sweep/costs.csv"


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_documented_command_writes_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    costs = importlib.import_module("costs")
    monkeypatch.setattr("sys.argv", ["costs.py", "--out", str(tmp_path / "costs.csv")])
    assert costs.main() == 0
    assert (tmp_path / "costs.csv").read_bytes() == COSTS.read_bytes()


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (("pakinsons", "random"), (0.011616, 106.97088, 0.2108)),
        (("diabetes", "balsa_emd", "gauss_ensemble", "corrected", 5, 40, 3), (1.032, 0.30084, 0.37755)),
        (("sarcos", "nf_std", "nf", "published", 200, None, 25), (0.2094, 150.829586666667, 0.3584)),
    ],
)
def test_estimates_are_what_they_were(case: tuple[object, ...], expected: tuple[float, float, float]) -> None:
    """As computed by hand from the tables in docs/performance."""
    assert Costs().run(*case) == pytest.approx(expected, rel=1e-12)
