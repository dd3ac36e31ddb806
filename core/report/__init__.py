"""What runs say: one reader of their folders, statistics, figures and tables.

Imports runs and metrics. Start with `reader.py`, whose tidy tables all others take; `sections.py` is what a
report consists of.
"""
