"""Parkinsons Telemonitoring: UCI 189, doi 10.24432/C5ZS3N (Tsanas et al., IEEE Trans. Biomed. Eng., 2010)."""

from typing import ClassVar

from core.data.tables import Categories, Table
from core.dataset import DATASETS


@DATASETS.register("pakinsons")
class Pakinsons(Table):
    """5,875 voice recordings of 42 patients, 61 features; target: total UPDRS score."""

    folder = "Pakinsons"
    seed_set = 200
    budget = 800

    name = "pakinsons"
    files = ("parkinsons_updrs.data", "parkinsons+telemonitoring.zip")
    download = "parkinsons+telemonitoring.zip"
    urls = ("https://archive.ics.uci.edu/static/public/189/parkinsons+telemonitoring.zip",)
    member = "parkinsons_updrs.data"
    known_hash = "sha256:f2c7d5025dec4e92e7feae367a5f7ccf58789a10ac6b54bdf15976c599f9dd39"
    columns = (
        *("subject#", "age", "sex", "test_time", "motor_UPDRS", "total_UPDRS"),
        *("Jitter(%)", "Jitter(Abs)", "Jitter:RAP", "Jitter:PPQ5", "Jitter:DDP"),
        *("Shimmer", "Shimmer(dB)", "Shimmer:APQ3", "Shimmer:APQ5", "Shimmer:APQ11", "Shimmer:DDA"),
        *("NHR", "HNR", "RPDE", "DFA", "PPE"),
    )
    target = "total_UPDRS"
    dropped = ("motor_UPDRS",)
    categories: ClassVar[Categories] = {"subject#": tuple(range(1, 43))}
    n_rows = 5875
    target_mean = 29.018942
