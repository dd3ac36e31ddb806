"""Naval propulsion: OpenML 44969 (Coraddu et al., J. Eng. for the Maritime Environment, 2016)."""

from core.data.own import OpenMLTable
from core.dataset import DATASETS


@DATASETS.register("naval")
class Naval(OpenMLTable):
    """11,934 states of a simulated frigate's propulsion; target: decay of its gas turbine."""

    folder = "Naval"
    seed_set = 200
    budget = 800
    data_id = 44969
