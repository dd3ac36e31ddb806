"""Airfoil Self-Noise: OpenML 46904 (Brooks, Pope, Marcolini, NASA RP-1218, 1989)."""

from core.data.own import OpenMLTable
from core.dataset import DATASETS


@DATASETS.register("airfoil")
class Airfoil(OpenMLTable):
    """1,503 wind-tunnel measurements, 5 features; target: sound pressure level."""

    folder = "Airfoil"
    seed_set = 100
    budget = 300
    data_id = 46904
