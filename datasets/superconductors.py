"""Superconductivty Data: UCI 464, doi 10.24432/C53P47 (Hamidieh, Comput. Materials Science, 2018)."""

from core.data.tables import Table
from core.dataset import DATASETS

_PROPERTIES = (
    *("atomic_mass", "fie", "atomic_radius", "Density"),
    *("ElectronAffinity", "FusionHeat", "ThermalConductivity", "Valence"),
)
_STATISTICS = ("mean", "gmean", "entropy", "range", "std")


@DATASETS.register("superconductors")
class Superconductors(Table):
    """21,263 superconductors, 81 features of their chemical formulas; target: critical temperature."""

    folder = "Superconductors"
    seed_set = 200
    budget = 800

    name = "superconductors"
    # Any dataset may have a train.csv, so it comes last.
    files = ("superconductivity_train.csv", "superconductivty+data.zip", "train.csv")
    download = "superconductivty+data.zip"
    urls = ("https://archive.ics.uci.edu/static/public/464/superconductivty+data.zip",)
    member = "train.csv"
    known_hash = "sha256:4dfb6e3a1f6ffd969e5a5e42f093c4800d1e2a6c8b1e309f8fcd9f23d86952f3"
    columns = (
        "number_of_elements",
        *(f"{weight}{of}_{what}" for what in _PROPERTIES for of in _STATISTICS for weight in ("", "wtd_")),
        "critical_temp",
    )
    target = "critical_temp"
    n_rows = 21263
    target_mean = 34.421219
