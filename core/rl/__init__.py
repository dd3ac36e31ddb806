"""The benchmark as an environment of reinforcement learning, and what a learned policy is.

Imports environment, agent and below. Start with `candidates.py`, the environment; `features.py` is what a
policy sees of a candidate, `tasks.py` the short synthetic tasks. Importing this package registers the
environments of `ids.py` with Gymnasium.
"""

from .ids import register

register()
