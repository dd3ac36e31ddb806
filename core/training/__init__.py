"""Fitting models to labelled points, of one run or of many side by side.

Imports models. Start with `trainer.py`; `side_by_side.py` brings together the fits of several runs.
"""
