"""Stored runs are made again: what is computed has not changed since, or its version says so."""

from pathlib import Path

import numpy as np
import pytest

from core import Experiment
from core.report.store import read_store
from core.runs.layout import read_metrics
from core.runs.provenance import provenance

STORE = Path(__file__).resolve().parent.parent / "results"
BUDGET = 60


@pytest.mark.parametrize("agent", ["random", "balsa_kl_pairs", "coreset"])
@pytest.mark.parametrize("protocol", ["published", "corrected"])
def test_a_stored_run_is_made_again(agent: str, protocol: str, tmp_path: Path) -> None:
    """The published protocol's first fit, of a few epochs, on any processor; then, where that is equal to the
    last bit, the rest as well (docs/TRUST.md, Bits).
    """
    stored = read_store(STORE)["diabetes", "nf", protocol, 5, agent]
    notes, here = stored.notes[1], provenance()
    for name in ("torch", "numpy", "numba", "scikit-learn"):
        if str(notes[name]).split(".")[:2] != str(here[name]).split(".")[:2]:
            pytest.skip(f"the store was made with {name} {notes[name]}")
    experiment = Experiment("diabetes", agent, protocol=protocol, query_size=5, budget=BUDGET)
    for name in ("protocol_version", "agent_version"):
        if stored.settings[name] != experiment.settings()[name]:
            pytest.skip(f"the store has {name} {stored.settings[name]}")
    assert experiment.run([1], tmp_path / "runs") == [1]
    made = read_metrics(experiment.folder(tmp_path / "runs") / "run_1")
    expected = stored.curves[1].iloc[: len(made)]
    assert (made.index + experiment.dataset_class.seed_set).tolist() == expected.index.tolist()
    if protocol == "published":
        np.testing.assert_allclose(made["mae"].iloc[0], expected["mae"].iloc[0], rtol=1e-5)
    if made["mae"].iloc[0] != expected["mae"].iloc[0]:
        pytest.skip("this processor rounds otherwise")
    np.testing.assert_array_equal(made[list(expected)].to_numpy(), expected.to_numpy())
