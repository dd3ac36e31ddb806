"""The agents: a file in this folder that registers a class is found by itself; shared/ has their parts."""

from core.agent import AGENTS as AGENTS
