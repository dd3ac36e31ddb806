"""Many experiments: which there are, what they cost, and how Ray makes them.

Imports everything below. Start with `plan.py`; `driver.py` has both sides of a task of Ray.
"""
