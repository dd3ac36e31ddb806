"""Steps as CUDA graphs: what is around the capture itself, which `test_gpu.py` runs."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from core import CORRECTED, Seeds
from core.training import cuda_graph
from core.training.cuda_graph import GraphedStep, Step
from core.training.trainer import Trainer, make_trainer, train_stack
from tests.builders import FEATURES, make_config, torch_rng


def replay_on_cpu(step: Step, inputs: Sequence[Tensor]) -> Step:
    """As `capture`: the operations are done when it is called, on the tensors that were there before."""
    static = [tensor.clone() for tensor in inputs]

    def replay(*new: Tensor) -> None:
        for place, tensor in zip(static, new, strict=True):
            place.copy_(tensor)
        step(*static)

    return replay


def refuse(step: Step, inputs: Sequence[Tensor]) -> Step:
    raise RuntimeError("operation not permitted when stream is capturing")


@pytest.mark.parametrize("capture", [replay_on_cpu, refuse])
def test_each_call_is_one_step_of_its_own_inputs(
    capture: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cuda_graph, "capture", capture)
    monkeypatch.setattr(GraphedStep, "captures", True)
    total = torch.zeros(())

    def add(x: Tensor, factor: Tensor) -> None:
        total.add_(factor * x.sum())

    step, expected = GraphedStep(add, torch.device("cpu")), 0
    for i, size in enumerate([4, 4, 4, 3, 4, 3, 3, 4]):
        step(torch.full((size,), float(i)), torch.tensor(2.0))
        expected += 2 * i * size
        assert total.item() == expected
    said = capsys.readouterr().err
    assert said.count("without CUDA graphs: operation not permitted") == (capture is refuse)


def test_steps_on_the_cpu_are_done_where_there_is_a_gpu_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(GraphedStep, "captures", True)
    seen: list[float] = []
    step = GraphedStep(lambda x: seen.append(x.item()), torch.device("cpu"))
    for i in range(4):
        step(torch.tensor(float(i)))
    assert seen == [0, 1, 2, 3]
    assert not capsys.readouterr().err


@pytest.mark.parametrize("variation", ["nf", "gauss", "mdn"])
@pytest.mark.parametrize("average", [0.0, 0.99])
def test_a_fit_by_pytorch_is_the_compiled_one(
    variation: str, average: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a GPU does, here in float64 on the CPU: masks, derivatives, NAdam, averages, models that leave."""
    monkeypatch.setattr(cuda_graph, "capture", replay_on_cpu)
    monkeypatch.setattr(GraphedStep, "captures", True)
    results = []
    for dtype in (torch.float32, torch.float64):
        fits = []
        for run_id in (1, 2):
            changes = {"dropout": 0.3, "average": average, "first_epochs": 12, "patience": 2}
            config = make_config(variation, **changes)
            trainer = make_trainer(FEATURES, config, CORRECTED, Seeds(run_id))
            trainer.model.to(dtype)
            trainer = Trainer(trainer.model, config, CORRECTED, Seeds(run_id))
            x, y = (torch.rand(90, n, generator=torch_rng(run_id)).to(dtype) for n in (FEATURES, 1))
            fits.append(trainer.request(x[:70], y[:70, 0], x[70:], y[70:, 0]))
        results.append((train_stack(fits), [fit.trainer.model.theta for fit in fits]))
    (found, thetas), (expected, exact) = results
    assert [fit.epochs for fit in found] == [fit.epochs for fit in expected]
    for theta, other in zip(thetas, exact, strict=True):
        torch.testing.assert_close(theta, other, rtol=1e-3, atol=1e-4, check_dtype=False)
