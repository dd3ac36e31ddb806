"""SARCOS: OpenML 43873, the 44,484 training rows (Rasmussen, Williams, Gaussian Processes for ML, 2006).

The test rows, `sarcos_inv_test.mat`, are no part of it: they repeat every tenth training row.
"""

from core.data.tables import Table
from core.dataset import DATASETS


@DATASETS.register("sarcos")
class Sarcos(Table):
    """44,484 postures of a robot arm: place, speed and acceleration of 7 joints; target: first torque."""

    folder = "Sarcos"
    seed_set = 200
    budget = 1200

    name = "sarcos"
    # OpenML's address ends in `data.arff`; so may any other file of it be called.
    files = ("sarcos_inv.mat", "sarcos.arff", "data.arff")
    download = "sarcos.arff"
    urls = (
        "https://www.openml.org/data/download/22102750/data.arff",
        "https://old.openml.org/data/download/22102750/data.arff",
    )
    columns = (*(f"x{i}" for i in range(1, 22)), *(f"torque{i}" for i in range(1, 8)))
    target = "torque1"
    dropped = tuple(f"torque{i}" for i in range(2, 8))
    n_rows = 44484
    target_mean = 13.65384
