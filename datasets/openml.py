"""Tables of OpenML by their ids. We have not compared them with published figures: they are unverified."""

from core.data.own import OpenMLTable
from core.dataset import DATASETS


def add(name: str, data_id: int, seed_set: int, budget: int, about: str, **verified: float) -> None:
    """Registers a table; `n_rows` and `target_mean`, which a run's `meta.txt` shows, verify it."""
    sizes = {"data_id": data_id, "seed_set": seed_set, "budget": budget}
    said = {"__module__": __name__, "__doc__": about, "folder": name.capitalize()}
    DATASETS.register(name)(type(name.capitalize(), (OpenMLTable,), said | sizes | verified))


# Airfoil Self-Noise (Brooks, Pope, Marcolini, NASA RP-1218, 1989).
add("airfoil", 46904, 100, 300, "1,503 wind-tunnel measurements, 5 features; target: sound pressure level.")
# Concrete Compressive Strength (Yeh, Cement and Concrete Research, 1998).
add("concrete", 46917, 100, 200, "1,030 mixtures of concrete, 8 features; target: compressive strength.")
# California Housing (Pace, Barry, Statistics & Probability Letters, 1997).
add("houses", 46934, 200, 800, "20,640 Californian districts, 8 features; target: value of houses.")
# Corke, Ghahramani, the Delve datasets, University of Toronto, 1996.
postures = "8,192 postures of a simulated robot arm, 8 features; target: distance of its end."
add("kin8nm", 44980, 200, 800, postures)
# Naval propulsion (Coraddu et al., J. Eng. for the Maritime Environment, 2016).
states = "11,934 states of a simulated frigate's propulsion; target: decay of its gas turbine."
add("naval", 44969, 200, 800, states)
# Protein Tertiary Structure (Rana, UCI Machine Learning Repository, 2013).
decoys = "45,730 decoys of proteins, 9 features; target: distance to the native structure."
add("protein", 46949, 200, 1200, decoys)
# Wine Quality (Cortez et al., Decision Support Systems, 2009).
add("wine", 46964, 200, 800, "6,497 Portuguese wines, chemical features; target: quality as tasted.")
