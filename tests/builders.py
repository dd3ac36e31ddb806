"""Small models, states and environments that the tests share."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from torch import Tensor

import evaluate
from agents import AGENTS
from core import PUBLISHED, Environment, EnvironmentLogger, Protocol, Seeds, State
from core.batches import QuerySize
from core.cli import run_script
from core.config import Config
from core.metrics import METRICS
from core.models.densities import GaussDensity
from core.models.networks import DensityModel
from core.models.predictor import NetworkPredictor
from core.models.variations import VARIATIONS, build_model
from core.training import side_by_side
from core.training.trainer import FitResult, Trainer
from datasets import DATASETS

FEATURES = 5
#: Of a run and of an experiment, one a metric.
FILES = tuple(metric.file for metric in METRICS.values())


def refused(main: Callable[[list[str]], object], typed: Sequence[object], capsys: Any) -> str:
    """The line that a script says of wrong input, which is all that it says; its exit code is 2."""
    with pytest.raises(SystemExit) as left:
        run_script(lambda: main([str(word) for word in typed]))  # type: ignore[arg-type,return-value]
    said = str(capsys.readouterr().err)
    assert left.value.code == 2
    assert said.count("\n") == len(said.splitlines()) == 1
    return said


#: The variations that are trained by epochs; tests/test_regressors.py tests the others.
NETWORKS = [name for name, variation in VARIATIONS.items() if not variation.regressor]
#: The study's models, whose layers and fits docs/METHOD.md says; tests/test_model_contract.py tests all.
SINGLE = ("nf", "gauss")

#: Few examples: most of these tests compare with python loops.
quick = settings(max_examples=40, deadline=None)

_CONFIG = Config(
    model="nsf",
    hidden=(32, 64, 128),
    dropout=0.02,
    fitting="finetuning",
    batch_size=32,
    lr=0.001,
    weight_decay=0.001,
    first_epochs=1,
    later_epochs=1,
    patience=5,
)


def make_config(variation: str = "nf", **changes: Any) -> Config:
    """The hyper-parameters of `diabetes`, but one epoch a fit."""
    kind = VARIATIONS[variation]
    return replace(_CONFIG, **{"model": kind.model, "members": 3 if kind.ensemble else 1} | changes)


def torch_rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make_classifier(
    variation: str = "nf", *, features: int = FEATURES, relu: bool = False, seed: int = 0, **changes: Any
) -> NetworkPredictor:
    """An untrained model; `changes` are those of its configuration."""
    config = make_config(variation, **changes)
    generators = [torch_rng(seed + 100 * member) for member in range(config.members)]
    return NetworkPredictor(build_model(config, features, relu, generators))


def make_environment(
    variation: str = "nf",
    protocol: Protocol = PUBLISHED,
    *,
    budget: int | None = None,
    device: str = "cpu",
    **changes: Any,
) -> Environment:
    """`diabetes`, one epoch a fit; `changes` are those of the configuration."""
    dataset = DATASETS["diabetes"]("nowhere", Seeds())
    return Environment(dataset, make_config(variation, **changes), protocol, device=device, budget=budget)


def make_state(
    variation: str = "nf",
    protocol: Protocol = PUBLISHED,
    *,
    pool: int = 12,
    labelled: int = 8,
    **changes: Any,
) -> State:
    """Rows of `diabetes` and an untrained model; budget 100, 20 points added."""
    data = DATASETS["diabetes"]("nowhere", Seeds())
    x, y = torch.from_numpy(data.x_train), torch.from_numpy(data.y_train)
    relu = protocol.encoder_relu
    classifier = make_classifier(variation, features=x.shape[1], relu=relu, **changes)
    rest = slice(pool, pool + labelled)
    optimizer = torch.optim.NAdam(classifier.model.parameters())
    return State(x[:pool], x[rest], y[rest], {}, 100, 20, 0.2, 0.1, classifier, optimizer)


@dataclass
class FixedPredictor:
    """Stands in for a `Predictor` where a test wants to say what the model thinks.

    The first feature of a row of x is its number n.

    Args:
        parameters: mean and standard deviation of every pass and row, [T, rows, 2]; the density
            without dropout is that of pass 0.
        embedding: the encoder's output [rows, h].

    Attributes:
        grids, draws: every y [G] that a density was asked for at once, every number of samples.
    """

    parameters: Tensor = field(default_factory=lambda: torch.ones(1, 1, 2))
    embedding: Tensor = field(default_factory=lambda: torch.ones(1, 1))
    dropout: float = 0.1
    members: int = 1
    grids: list[Tensor] = field(default_factory=list)
    draws: list[int] = field(default_factory=list)

    @property
    def model(self) -> SimpleNamespace:
        return SimpleNamespace(dropout=self.dropout)

    def __call__(self, x: Tensor) -> GaussDensity:
        return self._watched(self.parameters[0, x[:, 0].long()])

    def encode(self, x: Tensor) -> Tensor:
        return self.embedding[x[:, 0].long()]

    def passes(
        self,
        x: Tensor,
        passes: int,
        generator: torch.Generator,
        rate: float | None = None,
        *,
        shared: bool = False,
    ) -> GaussDensity:
        assert passes == len(self.parameters)
        return self._watched(self.parameters[:, x[:, 0].long()])

    def _watched(self, parameters: Tensor) -> GaussDensity:
        grids, draws = self.grids, self.draws

        class Watched(GaussDensity):
            def log_prob_on(self, y: Tensor) -> Tensor:
                grids.append(y)
                return super().log_prob_on(y)

            def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
                draws.append(n)
                return super().draw(n, generator)

        return Watched(parameters)


def fixed_state(classifier: FixedPredictor, pool: int, labelled: int = 1) -> State:
    """Rows 0, 1, ... of a `FixedPredictor`: first the pool, then the labelled points."""
    x = torch.arange(float(pool + labelled))[:, None]
    nothing = torch.optim.SGD([torch.zeros(1)])
    view: Any = classifier
    return State(x[:pool], x[pool:], torch.zeros(labelled), {}, 100, 0, 0.2, 0.1, view, nothing)


@contextmanager
def no_global_randomness() -> Iterator[None]:
    """Fails if the block draws from, or seeds, a generator of the whole process."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    yield
    assert random.getstate() == before[0], "the generator of `random` was used"
    for new, old in zip(np.random.get_state(), before[1], strict=True):
        np.testing.assert_array_equal(new, old, "numpy's global generator was used")
    assert torch.equal(torch.get_rng_state(), before[2]), "torch's global generator was used"


def choose(
    name: str, state: State, protocol: Protocol, query_size: QuerySize = 5, seed: int = 1
) -> np.ndarray:
    return AGENTS[name](query_size, Seeds(agent_seed=seed), protocol).predict(state)


def files(folder: Path) -> dict[str, bytes]:
    """The CSV files of all runs below a folder, by their relative names."""
    found = [path for name in (*FILES, "pit.csv") for path in folder.rglob(name)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def fit(trainer: Trainer, *data: Tensor) -> FitResult:
    """One fit of one run, now, on data as of `Trainer.request`."""
    return side_by_side.fit(trainer.request(*data))


def interrupt_after_a_round(arguments: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs evaluate.py in this process until a run has made a round; Ctrl-C comes then."""
    step = EnvironmentLogger.step

    def once(self: EnvironmentLogger, action: Any) -> Any:
        step(self, action)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(EnvironmentLogger, "step", once)
        with pytest.raises(KeyboardInterrupt):
            evaluate.main(arguments)


def specified_layers(model: DensityModel) -> list[tuple[Tensor, Tensor]]:
    """Weights [S, in, out] and biases [S, 1, out] as docs/METHOD.md, section 2 lists them: encoder, heads.

    The first layers of both heads are one in the model.
    """
    layers: list[tuple[Tensor, Tensor]] = [*model.layers()]
    encoder, (weight, bias), rest = layers[:4], layers[4], layers[5:]
    one, two = zip(weight.chunk(2, -1), bias.chunk(2, -1), strict=True)
    return [*encoder, one, *rest[: len(rest) // 2], two, *rest[len(rest) // 2 :]]
