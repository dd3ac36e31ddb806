"""The benchmark as an environment for reinforcement learning, and learned policies.

Start with `candidates.py`, the environment; `policy.py` is what a policy sees, its network and its file,
`tasks.py` the short synthetic tasks, `ppo.py` learning and evaluation, which alone needs the extra `rl`.
Importing this package registers the environments with Gymnasium.
"""

from .tasks import register

register()
