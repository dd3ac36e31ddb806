"""Runs on disk: folders, settings, logger, checkpoints, collected files, groups side by side.

Imports environment, agent and training. Start with `layout.py`, the files of a run, and
`record.py`, what they are made of; `logger.py` fills the record, `groups.py` makes the runs of an experiment.
"""
