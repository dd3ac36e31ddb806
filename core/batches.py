"""How many points each round adds: always the same number, or batches that grow.

A query size is an integer, or a text such as `10,20,40`, whose last batch size repeats.
"""

import math
import re
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any, TypeAlias

from .errors import UserError

QuerySize: TypeAlias = int | str


def query_size(given: Any) -> QuerySize:
    """The shortest form of a query size or of a list of batch sizes: of [10, 20, 20] `10,20`, of `10,10` 10.

    A UserError if there are no batch sizes, or one is not a positive integer.
    """
    several = isinstance(given, Iterable) and not isinstance(given, str)
    texts = list(map(str, given)) if several else str(given).split(",")
    if not texts or not all(re.fullmatch(r" *0*[1-9]\d* *", text, re.ASCII) for text in texts):
        raise UserError(
            f"a query size is a number of points such as 50, or several such as 10,20,40, not {given!r}"
        )
    sizes = list(map(int, texts))
    while sizes[-2:-1] == sizes[-1:]:
        sizes.pop()
    return ",".join(map(str, sizes)) if len(sizes) > 1 else sizes[0]


def next_batch(size: QuerySize, added: int) -> int:
    """The batch size of the round that begins with `added` points."""
    *growing, last = map(int, str(size).split(","))
    return next((end - added for end in accumulate(growing) if added < end), last)


def rounds(size: QuerySize, budget: int) -> int:
    """How many rounds it takes to add so many points."""
    *growing, last = map(int, str(size).split(","))
    *starts, grown = accumulate(growing, initial=0)
    return sum(start < budget for start in starts) + max(0, math.ceil((budget - grown) / last))


def batch_ends(size: QuerySize, budget: int) -> Iterator[int]:
    """The number of points added after each round; the last batch is cut to the budget."""
    added = 0
    while added < budget:
        added = min(added + next_batch(size, added), budget)
        yield added
