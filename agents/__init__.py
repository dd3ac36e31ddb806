"""The agents: each file of this folder that registers a class is found; shared/ has what they are made of."""

from core.agent import AGENTS as AGENTS
