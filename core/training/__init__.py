"""Fitting models to labelled points, of one run or of many side by side.

Imports models. Start with `trainer.py`, what a run keeps from fit to fit; `lockstep.py` drives runs whose
fits are done as one stack.
"""
