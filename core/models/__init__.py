"""Conditional densities p(y|x) as stacks of models: splines, densities, dropout masks, networks.

`Predictor` is what an agent sees of a run's model. Imports config, seeds, protocol and errors. Start
with `networks.py`; `splines.py` is the compiled arithmetic behind the flow's density.
"""
