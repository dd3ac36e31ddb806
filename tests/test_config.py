"""configs/: what is in them, and what is said of a wrong one."""

from pathlib import Path

import pytest
import yaml

from core import CORRECTED, DATASETS, UserError
from core.config import CONFIGS
from core.models.variations import load_config

# Learning rate, weight decay, dropout, as published or (of the last two datasets) our default.
PUBLISHED = {
    ("pakinsons", "nf"): (0.001, 0.00187167025815081, 0.0163037704541147),
    ("superconductors", "nf"): (0.000801996471673024, 0.000326110139620643, 0.0491574072268771),
    ("sarcos", "nf"): (0.000756213083797826, 0.00042089186098571, 0.0261252862581896),
    ("diamonds", "nf"): (0.000374007832661641, 0.00749547358468856, 0.0194754419745718),
    ("pakinsons", "gauss"): (0.000749100320246554, 0.00085122632797778, 0.00779722660404198),
    ("superconductors", "gauss"): (0.000381943576138542, 0.00513161888918376, 0.0121342046294311),
    ("sarcos", "gauss"): (0.000608303981056502, 0.000962754045091436, 0.00740576582889625),
    ("diamonds", "gauss"): (0.000489399348825569, 0.00591696716268901, 0.0122581511096011),
    ("diabetes", "nf"): (0.001, 0.001, 0.02),
    ("diabetes", "gauss"): (0.001, 0.001, 0.02),
    ("bimodalsin", "nf"): (0.001, 0.0, 0.0),
    ("bimodalsin", "gauss"): (0.001, 0.0, 0.0),
}


def test_every_dataset_has_its_published_values() -> None:
    assert {name for name, _ in PUBLISHED} <= set(DATASETS.classes)
    for (dataset, variation), values in PUBLISHED.items():
        config = load_config(dataset, variation)
        assert (config.lr, config.weight_decay, config.dropout) == values
        toy, small = dataset == "bimodalsin", dataset in ("bimodalsin", "diabetes")
        assert config.model == {"nf": "nsf", "gauss": "gauss"}[variation]
        assert config.hidden == ((64, 128) if toy else (32, 64, 128))
        assert config.fitting == ("from_scratch" if toy else "finetuning")
        assert config.batch_size == (32 if small else 64)
        assert (config.first_epochs, config.later_epochs, config.patience) == (50, 100, 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": 1}, "unknown key learning_rate"),
        ({"lr": "fast"}, "'lr' must be a number in [0, inf), got 'fast'"),
        ({"lr": float("nan")}, "'lr' must be a number in [0, inf), got nan"),
        ({"dropout": 1.0}, "'dropout' must be a number in [0, 1), got 1.0"),
        ({"model": "nsf"}, "unknown key model"),
        ({"nf": {"ltr": 1}}, "unknown key ltr"),
        ({"corrected": [1]}, "expected a mapping of keys to values"),
        ({"fitting": "often"}, "'fitting' must be one of finetuning, from_scratch, got 'often'"),
        ({"hidden": []}, "'hidden' must be a list of positive integers, got []"),
        ({"hidden": [32, -1]}, "'hidden' must be a list of positive integers, got [32, -1]"),
        ({"batch_size": True}, "'batch_size' must be a positive integer, got True"),
        ({"patience": 2.5}, "'patience' must be a positive integer, got 2.5"),
    ],
)
def test_wrong_key_or_value_is_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    raw = yaml.safe_load((CONFIGS / "pakinsons.yaml").read_text()) | change
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(raw))
    with pytest.raises(UserError) as caught:
        load_config("mine", "nf", CORRECTED, folder=tmp_path)
    assert str(caught.value).startswith(f"{file}: {message}")
    assert "\n" not in str(caught.value)


def test_the_variation_says_the_model_and_yaml_may_write_1e_3(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("lr: 1e-3")
    config = load_config("mine", "gauss", folder=tmp_path)
    assert (config.model, config.lr) == ("gauss", 0.001)


@pytest.mark.parametrize("text", ["[1, 2", "", "- 1", "!!python/object/apply:os.getcwd []", "\udc80"])
def test_a_file_that_is_no_mapping_is_one_clear_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.yaml").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UserError, match=r"mine\.yaml") as caught:
        load_config("mine", "nf", folder=tmp_path)
    assert "\n" not in str(caught.value)
