"""The benchmark as an environment of reinforcement learning, and what a learned policy is.

Imports runs, environment and below. Start with `candidates.py`, the environment; `features.py` is what a
policy sees of a candidate, `scorer.py` its network and its file, `tasks.py` the short synthetic tasks.
`learning.py` alone needs the extra `rl`. Importing this package registers the environments of `ids.py` with
Gymnasium.
"""

from .ids import register

register()
