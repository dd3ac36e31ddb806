"""Concrete Compressive Strength: OpenML 46917 (Yeh, Cement and Concrete Research, 1998)."""

from core.data.own import OpenMLTable
from core.dataset import DATASETS


@DATASETS.register("concrete")
class Concrete(OpenMLTable):
    """1,030 mixtures of concrete, 8 features; target: compressive strength."""

    folder = "Concrete"
    seed_set = 100
    budget = 200
    data_id = 46917
