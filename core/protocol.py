"""Where the published code and the published method differ: one record, two instances."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Protocol:
    """The switches of docs/METHOD.md, section 5; nothing else depends on the protocol.

    The defaults are the method as the paper describes it.

    Attributes:
        name: `published` or `corrected`.
        version: goes up when what the protocol computes changes, not for rounding or random draws. Runs of
            two versions are not pooled.
        stop_on_log_likelihood: early stopping waits for a new minimum of the summed validation
            mean log-likelihood (as published, upside down) instead of the validation NLL.
        refit_every_point: a `finetuning` model is refitted after every added point, not once a round.
        encoder_relu: ReLU after each linear layer of the encoder.
        grid: first and last point of the grids over the scaled target.
        true_spacing: trapezoids take (last - first) / (G - 1) as spacing, not / G.
        log_space: densities stay logarithms, so that no score is NaN or infinite.
        absolute_std_differences: `bald_dist_std` sums absolute differences.
        mutual_information: `nflows_out` estimates mutual information by Monte Carlo.
        k_center: `coreset` updates its distances after each pick of a batch.
        rotate_clusters: `typiclust` takes one point from each ranked cluster in turn.
        heuristic_samples: samples of `nf_conf` and `nf_sample_std`.
        restore_dropout: the KL dual agents restore the dropout rate after scoring.
        training: keys of a configuration (`core.config.Config`) that the protocol sets: these values replace
            those in configs/, unless a file there has others under the protocol's name.
    """

    name: str
    version: int
    stop_on_log_likelihood: bool = False
    refit_every_point: bool = False
    encoder_relu: bool = True
    grid: tuple[float, float] = (0.0, 1.0)
    true_spacing: bool = True
    log_space: bool = True
    absolute_std_differences: bool = True
    mutual_information: bool = True
    k_center: bool = True
    rotate_clusters: bool = True
    heuristic_samples: int = 200
    restore_dropout: bool = True
    training: Mapping[str, Any] = field(default_factory=dict, hash=False)


PUBLISHED = Protocol(
    name="published",
    version=1,
    stop_on_log_likelihood=True,
    refit_every_point=True,
    encoder_relu=False,
    grid=(0.1, 0.9),
    true_spacing=False,
    log_space=False,
    absolute_std_differences=False,
    mutual_information=False,
    k_center=False,
    rotate_clusters=False,
    heuristic_samples=64,
    restore_dropout=False,
)

CORRECTED = Protocol(
    name="corrected",
    version=2,
    training={
        "average": 0.99,
        "best_weights": True,
        "check_every": 3,
        "patience": 20,
        "first_patience": 30,
        "watched_rows": 1000,
        "first_epochs": 5000,
        "later_epochs": 5000,
    },
)

PROTOCOLS = {protocol.name: protocol for protocol in (PUBLISHED, CORRECTED)}
