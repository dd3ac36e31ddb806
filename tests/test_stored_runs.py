"""First fits are made again beside those of the stored runs: what is computed has not changed since."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core import Experiment
from core.metrics import METRICS
from core.report.store import read_store

pytestmark = pytest.mark.machines

STORE = Path(__file__).resolve().parent.parent / "results"


@pytest.mark.parametrize("protocol", ["published", "corrected"])
def test_first_fits_are_those_of_the_stored_runs(protocol: str) -> None:
    """The same runs, of the same splits and initial weights: what differs between them, as the masks of
    dropout may, has mean zero within four standard errors of it.
    """
    stored = read_store(STORE)["diabetes", "nf", protocol, 5, "random"]
    experiment = Experiment("diabetes", "random", protocol=protocol, query_size=5)
    made = {i: experiment.environment(i).reset()[1] for i in stored.curves}
    for metric in (name for name, entry in METRICS.items() if entry.in_every_run):
        before = pd.Series({i: curves[metric].iloc[0] for i, curves in stored.curves.items()})
        difference = pd.Series({i: info[metric] for i, info in made.items()}) - before
        assert len(difference) == 30
        rounding = 1e-4 * before.abs().mean()
        assert abs(difference.mean()) < 4 * difference.std() / np.sqrt(len(difference)) + rounding, metric
