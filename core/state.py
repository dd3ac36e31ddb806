"""What an agent sees."""

import math
from typing import NamedTuple

from torch import Tensor
from torch.optim import Optimizer

from .models.predictor import Predictor


class State(NamedTuple):
    """One moment of a run; the fields of the published interface, in its order. d features.

    Attributes:
        x_unlabeled: features of the pool [N, d]; the indices an agent returns refer to it.
        x_labeled: features of the labelled points [L, d], in the order they were added.
        y_labeled: their targets [L].
        per_class_instances: empty; the interface's classifying sibling counts labels per class.
        budget: points that may be added in the whole run.
        added_images: points added so far.
        initial_test_acc: MAE on the test set after the first fit.
        current_test_acc: MAE on the test set now.
        classifier: the model, as functions of rows x [N, d].
        optimizer: the model's optimiser; None for a model that is fitted at once.
    """

    x_unlabeled: Tensor
    x_labeled: Tensor
    y_labeled: Tensor
    per_class_instances: dict[int, int]
    budget: int
    added_images: int
    initial_test_acc: float
    current_test_acc: float
    classifier: Predictor
    optimizer: Optimizer | None

    @classmethod
    def of_one_choice(cls, pool: Tensor, x: Tensor, y: Tensor, classifier: Predictor, count: int) -> "State":
        """Outside of a run: `count` points are chosen once, and there is no test set.

        Args:
            pool: [N, d].
            x, y: labelled points [L, d] and targets [L].
        """
        return cls(pool, x, y, {}, count, 0, math.nan, math.nan, classifier, None)
