"""Protein Tertiary Structure: OpenML 46949 (Rana, UCI Machine Learning Repository, 2013)."""

from core.data.own import OpenMLTable
from core.dataset import DATASETS


@DATASETS.register("protein")
class Protein(OpenMLTable):
    """45,730 decoys of proteins, 9 features; target: distance to the native structure."""

    folder = "Protein"
    seed_set = 200
    budget = 1200
    data_id = 46949
