"""kin8nm: OpenML 44980 (Corke, Ghahramani, the Delve datasets, University of Toronto, 1996)."""

from core.data.own import OpenMLTable
from core.dataset import DATASETS


@DATASETS.register("kin8nm")
class Kin8nm(OpenMLTable):
    """8,192 postures of a simulated robot arm, 8 features; target: distance of its end."""

    folder = "Kin8nm"
    seed_set = 200
    budget = 800
    data_id = 44980
