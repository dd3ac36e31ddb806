"""Many experiments: which ones, what they cost, and how Ray makes them.

Imports everything below. Start with `plan.py`; `driver.py` has both sides of a task of Ray.
"""
