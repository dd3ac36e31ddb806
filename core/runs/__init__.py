"""Runs on disk: their files, settings and checkpoints, the logger, and groups side by side.

Imports environment, agent and training. Start with `logger.py`, which fills a `Record`, and `files.py`, which
writes it.
"""
