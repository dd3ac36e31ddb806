"""Runs on disk: folders, settings, logger, checkpoints, collected tables, groups side by side.

Imports environment, agent and training. Start with `layout.py`, the files of a run; `logger.py` writes them,
`groups.py` makes the runs of an experiment.
"""
