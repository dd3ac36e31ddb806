"""Diamonds: OpenML 42225, the table of ggplot2 (Wickham, Springer, 2016)."""

from typing import ClassVar

from core.data.tables import Categories, Table
from core.dataset import DATASETS


@DATASETS.register("diamonds")
class Diamonds(Table):
    """53,940 diamonds, 26 features; target: price in US dollars."""

    folder = "Diamonds"
    seed_set = 200
    budget = 1200

    name = "diamonds"
    # OpenML's address ends in `dataset`; so may any other file of it be called.
    files = ("diamonds.csv", "diamonds.arff", "dataset")
    download = "diamonds.arff"
    urls = (
        "https://www.openml.org/data/download/21792853/dataset",
        "https://old.openml.org/data/download/21792853/dataset",
    )
    packaged = ("plotnine", "data/diamonds.csv")
    columns = ("carat", "cut", "color", "clarity", "depth", "table", "price", "x", "y", "z")
    target = "price"
    categories: ClassVar[Categories] = {
        "cut": ("Fair", "Good", "Very Good", "Premium", "Ideal"),
        "color": ("J", "I", "H", "G", "F", "E", "D"),
        "clarity": ("I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"),
    }
    n_rows = 53940
    target_mean = 3932.799722
