"""The model behind suggest.py: what it learns, what is said of it, and that it can be kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import suggest
from core import Seeds
from core.suggestion import calibration, model, transforms
from tests.builders import refused
from tests.test_suggest import make_frame, problem_of, write

pytestmark = pytest.mark.usefixtures("short_training")


@pytest.fixture
def typed(tmp_path: Path) -> list[str]:
    return write(tmp_path, make_frame(60), make_frame(120, 1).drop(columns="y"))


# --- What is learned of the target ------------------------------------------------------------------


@pytest.mark.parametrize("kind", transforms.TRANSFORMS)
@settings(deadline=None)  # the first call loads scipy
@given(st.integers(0, 2**32 - 1), st.floats(-5, 5), st.floats(0.01, 5))
def test_what_is_learned_is_a_smooth_increasing_function_of_the_target(
    kind: type[transforms.Transform], seed: int, shift: float, spread: float
) -> None:
    """And goes back, also outside the labelled rows; densities are converted by its slope."""
    y = np.exp(np.random.default_rng(seed).normal(shift, spread, 40))
    y = y / np.ptp(y)
    target = kind(y, 0.0)
    z = target.forward(y)
    assert (z.min(), z.max()) == pytest.approx((0, 1), abs=1e-9)
    beyond = np.linspace(-0.5, 1.5, 50)
    back = target.inverse(beyond)
    assert np.isfinite(back).all()
    assert (np.diff(back) >= 0).all()
    np.testing.assert_allclose(target.inverse(z), y, rtol=1e-6, atol=1e-12)
    step = 1e-5 * y  # less is lost in rounding where y is far below the median
    slope = (target.forward(y + step) - target.forward(y - step)) / (2 * step)
    np.testing.assert_allclose(target.log_slope(y), np.log(slope), atol=5e-3)


def heavy_tailed(n: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """A table, and the median of its target given the features."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.uniform(-1, 1, (n, 2)), columns=["a", "b"])
    median = np.exp(2 * frame["a"].to_numpy())
    return frame.assign(y=median * np.exp(rng.normal(0, 0.5, n))), median


def test_the_best_model_learns_the_best_form_of_the_target(tmp_path: Path) -> None:
    table, median = heavy_tailed(400, 0)
    problem = problem_of(tmp_path, table[:80], table[80:])
    fitted = model.fit(problem, ["forest", "gp"], Seeds(), torch.device("cpu"))
    assert (fitted.variation, type(fitted.model.target)) == ("gp", transforms.Log)
    assert fitted.nll["gp"] < fitted.nll["forest"]
    # In the target's own units: that of the truth itself is the least.
    z = np.log(table["y"] / median)[:80] / 0.5
    truth = (z**2 / 2 + np.log(0.5 * np.sqrt(2 * np.pi) * table["y"][:80])).mean()
    assert truth - 0.1 < fitted.nll["gp"] < truth + 0.3
    predicted = model.quantiles(fitted, problem.pool)
    assert (predicted["low_90"] > 0).all()
    assert np.abs(np.log(predicted["median"] / median[80:])).mean() < 0.2


# --- What is said of the model ------------------------------------------------------------------------


def test_the_best_model_comes_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    problem = problem_of(tmp_path, make_frame(30), make_frame(20, 1).drop(columns="y"))
    fitted = model.fit(problem, ["forest"], Seeds(), torch.device("cpu"))
    suggest.print_quality(replace(fitted, nll={"ensemble": 3.0, "gp": 2.0, "forest": 1.0}))
    assert ": held-out NLL 1.000, gp 2.000, ensemble 3.000\n" in capsys.readouterr().out


def test_quality_is_that_of_rows_which_were_left_out(tmp_path: Path) -> None:
    """A model that knows its own rows by heart: what it says of others is what counts."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.uniform(size=60), "y": rng.normal(7, 2, 60)})
    fitted = model.fit(problem_of(tmp_path, table, table[:20]), ["forest"], Seeds(), torch.device("cpu"))
    assert fitted.quality.r2 < 0
    assert fitted.quality.mae > fitted.quality.constant_mae
    assert fitted.quality.constant_mae == pytest.approx((table["y"] - table["y"].median()).abs().mean())


def test_replicates_are_left_out_together(tmp_path: Path) -> None:
    """A measurement that was repeated says nothing of other settings."""
    rng = np.random.default_rng(0)
    once = pd.DataFrame({"a": rng.uniform(size=30), "y": rng.normal(size=30)})
    table = pd.concat([once] * 4, ignore_index=True)
    fitted = model.fit(problem_of(tmp_path, table, once[:20]), ["forest"], Seeds(), torch.device("cpu"))
    assert fitted.quality.r2 < 0.1


def test_a_model_of_no_worth_is_called_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = make_frame(60).assign(y=np.random.default_rng(1).normal(size=60))
    suggest.main([*write(tmp_path, table, make_frame(40, 1)), "--variation", "forest"])
    assert "warning: the model is no better than predicting the mean" in capsys.readouterr().out


def test_intervals_hold_what_they_say() -> None:
    """Of a model that is far too sure above the median, and far too unsure below it."""
    rng = np.random.default_rng(0)
    centre = rng.normal(size=4000)
    said = {"median": 0.0, "low_50": -2.0, "high_50": 0.2, "low_90": -5.0, "high_90": 0.5}
    predicted = pd.DataFrame({name: centre + value for name, value in said.items()})
    truth = centre + rng.normal(size=4000)
    made = calibration.calibrated(predicted, calibration.calibrate(predicted[:500], truth[:500]))
    for share, (low, high) in calibration.INTERVALS.items():
        inside = ((made[low] <= truth) & (truth <= made[high]))[500:].mean()
        assert inside == pytest.approx(share, abs=0.05)
    fifths = [slice(i, None, 5) for i in range(5)]
    held = calibration.coverage([predicted[one] for one in fifths], [truth[one] for one in fifths])
    assert held[0.9] == pytest.approx(3600, abs=100)


def test_the_wider_interval_holds_the_narrower() -> None:
    predicted = pd.DataFrame(
        {"median": [0.0], "low_50": -1.0, "high_50": 1.0, "low_90": -2.0, "high_90": 2.0}
    )
    made = calibration.calibrated(predicted, {0.5: 10.0, 0.9: 1.0})
    assert made.iloc[0].tolist() == [0, -10, 10, -10, 10]


# --- All candidates, and the model kept ---------------------------------------------------------------


def test_scores_of_all_candidates(typed: list[str], tmp_path: Path) -> None:
    scores = tmp_path / "scores.csv"
    suggest.main([*typed, "--variation", "forest", "--agent", "qbc", "--scores", str(scores)])
    every, chosen = pd.read_csv(scores), pd.read_csv(tmp_path / "next.csv")
    assert every["pool_row"].tolist() == list(range(1, 121))
    assert every["score"].nlargest(6).tolist() == chosen["score"].tolist()
    ours = every.set_index("pool_row").loc[chosen["pool_row"]].reset_index()
    pd.testing.assert_frame_equal(ours, chosen[list(ours)])
    suggest.main([*typed, "--variation", "forest", "--agent", "lcmd", "--scores", str(scores)])
    assert pd.read_csv(scores)["score"].isna().all()


@pytest.mark.parametrize("variation", ["forest", "gp", "gauss"])
def test_a_saved_model_predicts_and_chooses_the_same_again(
    variation: str, typed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, outs = str(tmp_path / "kept"), [tmp_path / "next.csv", tmp_path / "scores.csv"]
    more = ["--agent", "coreset", "--scores", str(outs[1])]
    suggest.main([*typed, *more, "--variation", variation, "--save_model", kept])
    first = [out.read_bytes() for out in outs]
    monkeypatch.setattr(model, "fit", None)
    suggest.main(["--model", kept, *typed[2:4], *typed[6:], *more])
    assert [out.read_bytes() for out in outs] == first


def test_a_saved_model_predicts_a_single_new_row(
    typed: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With one value in each column, which alone would be no feature, and nothing to choose."""
    suggest.main([*typed, "--agent", "igs", "--variation", "gp", "--save_model", str(tmp_path / "kept")])
    make_frame(120, 1).drop(columns="y")[7:8].to_csv(tmp_path / "one.csv", index=False)
    scores = tmp_path / "scores.csv"
    typed = ["--model", str(tmp_path / "kept"), "--pool", str(tmp_path / "one.csv"), "--scores", str(scores)]
    suggest.main([*typed, "--agent", "igs", "--count", "0"])
    one, eighth = pd.read_csv(scores), pd.read_csv(tmp_path / "next.csv").query("pool_row == 8")
    assert one["median"][0] == pytest.approx(make_frame(120, 1)["y"][7], abs=30)
    assert eighth.empty or one["median"][0] == pytest.approx(eighth["median"].iloc[0])
    assert "rows to measure next" not in capsys.readouterr().out.split("\n1 candidates")[1]


def test_a_folder_that_holds_no_model_of_these_columns_is_refused(
    typed: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept"
    suggest.main([*typed, "--agent", "igs", "--variation", "gp", "--save_model", str(kept)])
    capsys.readouterr()
    make_frame(40).drop(columns=["y", "b"]).to_csv(tmp_path / "less.csv", index=False)
    again = ["--agent", "igs", "--model", str(kept), "--pool"]
    assert "less.csv: it has no column 'b'" in refused(
        suggest.main, [*again, str(tmp_path / "less.csv")], capsys
    )
    said = refused(suggest.main, ["--model", str(tmp_path), "--pool", typed[3]], capsys)
    assert f"{tmp_path} holds no model that --save_model wrote" in said
    (kept / "model.joblib").write_bytes(b"torn")
    meta = kept / "meta.json"
    meta.write_text(meta.read_text().replace('"numpy": "', '"numpy": "0.'))
    said = refused(suggest.main, [*again, typed[3]], capsys)
    assert "kept cannot be read" in said
    assert "it was made with numpy 0." in said


def test_rows_of_one_setting_are_left_out_together_however_few_settings(tmp_path: Path) -> None:
    """A target that is random for each setting cannot be predicted for one that was left out."""
    rng = np.random.default_rng(0)
    settings = pd.DataFrame({"a": rng.uniform(size=10), "b": rng.uniform(size=10), "y": rng.normal(size=10)})
    done = settings.loc[settings.index.repeat(3)].reset_index(drop=True)
    done["y"] += rng.normal(0, 0.01, len(done))
    problem = problem_of(tmp_path, done, make_frame(40).drop(columns="kind"))
    fitted = model.fit(problem, ["forest"], Seeds(), torch.device("cpu"))
    assert fitted.quality.settings == 10
    assert fitted.quality.r2 < 0.3


def test_a_saved_model_predicts_every_row_if_none_is_chosen(typed: list[str], tmp_path: Path) -> None:
    kept, found = tmp_path / "kept", tmp_path / "all.csv"
    suggest.main([*typed, "--agent", "igs", "--variation", "gp", "--save_model", str(kept)])
    suggest.main(["--model", str(kept), "--pool", typed[1], "--count", "0", "--scores", str(found)])
    assert len(pd.read_csv(found)) == len(pd.read_csv(typed[1]))
