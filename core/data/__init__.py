"""Tables as datasets: start with `tables.py`; `datasets/pakinsons.py` shows what a dataset has to say."""
