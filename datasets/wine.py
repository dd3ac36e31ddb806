"""Wine Quality: OpenML 46964 (Cortez et al., Decision Support Systems, 2009)."""

from core.data.own import OpenMLTable
from core.dataset import DATASETS


@DATASETS.register("wine")
class Wine(OpenMLTable):
    """6,497 Portuguese wines, chemical features; target: quality as tasted."""

    folder = "Wine"
    seed_set = 200
    budget = 800
    data_id = 46964
