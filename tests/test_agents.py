"""One contract for every agent."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from agents import AGENTS
from core import CORRECTED, PROTOCOLS, PUBLISHED, Environment, Protocol, Seeds, State
from core.models.variations import VARIATIONS, load_config
from datasets import DATASETS
from tests.builders import (
    NETWORKS,
    choose,
    make_config,
    make_state,
    no_global_randomness,
)

KL_DUALS = {"balsa_kl_grid_dual", "balsa_kl_pairs_dual"}
DUALS = KL_DUALS | {"balsa_emd_dual"}
NO_RANDOMNESS = {
    "coreset",
    "nf_entropy",
    "gauss_std",
    "gauss_entropy",
    "gauss_lc",
    "gsx",
    "gsy",
    "igs",
    "bait",
}
#: Agents of the field that look at the passes.
COMMITTEES = {"lcmd_pred", "batchbald", "epig", "paide", "paide_bhatt", "qbc", "learned"}
# Those that draw masks and nothing else: with an ensemble they draw nothing.
MASKS_ONLY = KL_DUALS | {"balsa_kl_grid", "balsa_kl_grid_norm", "balsa_kl_pairs", "balsa_kl_diff"}
MASKS_ONLY |= {"balsa_entropy", "bald_dist_entropy"} | COMMITTEES  # all of a small pool are epig's targets

# --- names ---------------------------------------------------------------------------------

_FOLDERS = """
    random=RandomAgent coreset=Coreset_Greedy typiclust=TypiClust coregcn=CoreGCN bald=BALD_Point
    bald_dist_entropy=BALD_Dist_Entropy bald_dist_std=BALD_Dist_Std nflows_out=NFlows_Out
    balsa_kl_grid=BALSA_KL_Grid balsa_kl_pairs=BALSA_KL_Pairs balsa_emd=BALSA_EMD
    balsa_kl_grid_norm=BALSA_KL_Grid_Norm balsa_kl_diff=BALSA_KL_Diff
    balsa_kl_anomaly=BALSA_KL_Anomaly balsa_entropy=BALSA_entropy balsa_emd_full=BALSA_EMD_full
    balsa_kl_grid_dual=BALSA_KL_Grid_dual balsa_kl_pairs_dual=BALSA_KL_Pair_dual
    balsa_emd_dual=BALSA_EMD_dual nf_conf=NF_Conf nf_entropy=NF_Entropy nf_std=NF_Std
    nf_sample_std=NF_Sample_Std gauss_std=GaussStd gauss_entropy=GaussEntropy gauss_lc=GaussLC
    gsx=GSx gsy=GSy igs=iGS lcmd=LCMD lcmd_pred=LCMD_Pred badge=BADGE bait=BAIT batchbald=BatchBALD
    epig=EPIG paide=PaiDE paide_bhatt=PaiDE_Bhatt qbc=QBC learned=Learned
"""
FOLDERS = dict(pair.split("=") for pair in _FOLDERS.split())
#: One of each kind; tests/test_batch_noise.py has what they choose.
STOCHASTIC = ("balsa_kl_pairs+power", "coreset+softmax", "epig+softrank", "gauss_std+power")


def test_names_folders_and_aliases_of_the_specification() -> None:
    folders = {name: cls.folder for name, cls in AGENTS.classes.items()}
    assert folders | FOLDERS == folders
    assert AGENTS.name("bald_point") == "bald"
    assert AGENTS.name("balsa_full") == "balsa_emd_full"


@pytest.mark.parametrize("name", FOLDERS)
def test_declarations(name: str) -> None:
    cls = AGENTS[name]
    assert cls.candidates == (5_000 if name.startswith("balsa_") else 10_000)
    networks = [variation for variation in cls.variations if variation in NETWORKS]
    assert networks == (["gauss"] if name.startswith("gauss_") else NETWORKS)

    with_dropout = name.startswith(("bald", "balsa_", "nflows_out")) and name not in DUALS
    with_dropout = with_dropout or name in COMMITTEES
    for dropout in (0.0, 0.02, 0.05, 0.3):
        config = make_config(dropout=dropout)
        raised = make_config(dropout=max(dropout, 0.05))
        assert cls.inject_config(config) == (raised if with_dropout else config)
        assert config.dropout == dropout


# --- the contract --------------------------------------------------------------------------

#: Of the models, the first and an ensemble of it are quick enough for each time.
CASES = [
    pytest.param(
        *(name, variation, protocol),
        id=f"{name}-{variation}-{protocol.name}",
        marks=() if variation in (AGENTS[name].variations[0], "ensemble") else pytest.mark.slow,
    )
    for name in (*AGENTS.classes, *STOCHASTIC)
    for variation in AGENTS[name].variations
    if variation in NETWORKS
    for protocol in PROTOCOLS.values()
    if protocol is CORRECTED or variation == AGENTS[name].variations[0]
]


def check_choice(chosen: np.ndarray, pool: int, count: int) -> None:
    assert isinstance(chosen, np.ndarray)
    assert chosen.dtype.kind == "i"
    assert chosen.shape == (count,)
    assert len(set(chosen.tolist())) == count
    assert set(chosen.tolist()) <= set(range(pool))


@pytest.mark.parametrize(("name", "variation", "protocol"), CASES)
def test_contract(name: str, variation: str, protocol: Protocol, monkeypatch: pytest.MonkeyPatch) -> None:
    def fresh() -> State:
        return make_state(variation, protocol)

    state, single = fresh(), not VARIATIONS[variation].ensemble
    model = state.classifier.model
    weights = copy.deepcopy(model.state_dict())
    tensors = [part.clone() for part in state[:3]]
    with no_global_randomness():
        chosen = choose(name, state, protocol)
    check_choice(chosen, 12, 5)

    # Nothing of the state is changed but what the published KL duals leave behind.
    for key, value in model.state_dict().items():
        assert torch.equal(value, weights[key])
    assert model.theta.grad is None
    assert model.dropout == (0.05 if name in KL_DUALS and protocol is PUBLISHED and single else 0.02)
    for part, before in zip(state[:3], tensors, strict=True):
        assert torch.equal(part, before)

    # The agent's seed, and it alone, decides.
    torch.manual_seed(0)
    agent = AGENTS[name](5, Seeds(), protocol)
    assert agent.predict(*fresh()).tolist() == chosen.tolist()
    others = (choose(name, fresh(), protocol, seed=seed).tolist() != chosen.tolist() for seed in range(2, 8))
    draws_masks_only = name == "nflows_out" and protocol is PUBLISHED
    if name in NO_RANDOMNESS or (not single and (name in MASKS_ONLY or draws_masks_only)):
        assert not any(others)
    # Of a Gaussian, or five, the best of 64 samples hardly differs from the mode; the policy's features of a
    # model without ReLU hardly depend on the masks.
    elif name in FOLDERS and not (name == "nf_conf" and variation.startswith("gauss")) and name != "learned":
        assert any(others)

    # Fewer points than asked for: in the pool, or in the budget.
    for pool in (3, 1):
        check_choice(choose(name, make_state(variation, protocol, pool=pool), protocol), pool, pool)
    for added, left in ((98, 2), (100, 0)):
        check_choice(choose(name, fresh()._replace(added_images=added), protocol), 12, left)

    # No more candidates than the cap, drawn by the seed.
    seen: list[Tensor] = []
    cls = AGENTS[name]
    select = cls.select

    def watch(self: object, state: State, x: Tensor, count: int) -> Tensor | np.ndarray:
        seen.append(x)
        return select(self, state, x, count)  # type: ignore[arg-type]

    monkeypatch.setattr(cls, "candidates", 6)
    monkeypatch.setattr(cls, "select", watch)
    for seed in (1, 1, 2):
        chosen = choose(name, fresh(), protocol, seed=seed)
        check_choice(chosen, 12, 5)
        assert seen[-1].shape == (6, 10)
        positions = [state.x_unlabeled.tolist().index(row) for row in seen[-1].tolist()]
        assert len(set(positions)) == 6
        assert set(chosen.tolist()) <= set(positions)
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])


@pytest.mark.machines
@pytest.mark.parametrize("dataset", ["diabetes", pytest.param("bimodalsin", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", AGENTS.classes)
def test_rounds_on_every_small_dataset(name: str, dataset: str) -> None:
    """Real rounds with a trained model, the dataset's own configuration but one epoch a fit."""
    variation = AGENTS[name].variations[0]
    config = AGENTS[name].inject_config(load_config(dataset, variation))
    config = replace(config, first_epochs=1, later_epochs=1)
    env = Environment(DATASETS[dataset]("nowhere", Seeds()), config, CORRECTED, budget=5)
    agent = AGENTS[name](3, Seeds(), CORRECTED)
    state, _ = env.reset()
    for added in (3, 5):
        check_choice(agent.predict(state), len(state.x_unlabeled), added - state.added_images)
        state, _, terminated, _, _ = env.step(agent.predict(state))
        assert state.added_images == added
    assert terminated


def test_candidates_are_drawn_anew_in_each_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AGENTS["random"], "candidates", 5)
    agent = AGENTS["random"](5, Seeds())
    state = make_state(pool=50)
    drawn = [set(agent.predict(state).tolist()) for _ in range(40)]
    assert drawn[0] != drawn[1]
    assert len(set.union(*drawn)) == 50


def test_random_is_uniform() -> None:
    agent = AGENTS["random"](3, Seeds())
    state = make_state(pool=10)
    counts = np.bincount(np.concatenate([agent.predict(state) for _ in range(1000)]), minlength=10)
    assert abs(counts - 300).max() < 5 * math.sqrt(1000 * 0.3 * 0.7)


def test_gauss_agents_refuse_a_flow() -> None:
    for name in ("gauss_std", "gauss_entropy", "gauss_lc"):
        with pytest.raises(TypeError, match="GaussDensity"):
            choose(name, make_state("nf"), PUBLISHED)
