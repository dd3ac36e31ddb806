"""California Housing: OpenML 46934 (Pace, Barry, Statistics & Probability Letters, 1997)."""

from core.data.own import OpenMLTable
from core.dataset import DATASETS


@DATASETS.register("houses")
class Houses(OpenMLTable):
    """20,640 Californian districts, 8 features; target: value of houses."""

    folder = "Houses"
    seed_set = 200
    budget = 800
    data_id = 46934
