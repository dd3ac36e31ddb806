"""Conditional densities p(y|x) as stacks of models: splines, densities, dropout masks, networks.

A model is one file, found by `variations.py`; `Predictor` is what an agent sees of a run's. Imports config,
registry, protocol and errors. Start with `networks.py`, then `gauss.py`; `splines.py` is the compiled
arithmetic behind the flow's density.
"""
