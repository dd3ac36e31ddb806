"""The agents. Each file of this folder that registers a class is found by itself (core/registry.py)."""

from core.agent import AGENTS

__all__ = ["AGENTS"]
