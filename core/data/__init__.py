"""Datasets that are tables: found in the data folder or downloaded, checked, cached.

Imports core.dataset. Start with `tables.py`; `datasets/pakinsons.py` shows what a dataset has to say.
"""
