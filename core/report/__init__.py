"""What runs say: their folders and the store read as tidy tables, statistics, figures, tables and pages.

Imports runs and metrics. Start with `load.py`, whose tables all others take; `sections.py` is what the
notebook and the store's README show, `page.py` the interactive pages.
"""
