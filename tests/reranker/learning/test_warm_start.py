"""A new network begins as its parent ended, whatever its signals and texts are measured in."""

from pathlib import Path

import numpy as np
import pytest
import torch

from reranker.fusion import artifact
from reranker.fusion.registry import Registry
from reranker.fusion.weights import unpacked
from reranker.learning import export, warm_start
from reranker.learning.network import FusionNetwork
from reranker.signals import definition
from tests.reranker.fusion.artifacts import manifest, network, parts


def parent() -> FusionNetwork:
    made = network(1)
    torch.nn.init.normal_(made.direct.weight, std=0.2)
    made.signal_mean.copy_(torch.randn(len(definition.SIGNALS)))
    made.signal_scale.copy_(torch.rand(len(definition.SIGNALS)) + 0.5)
    return made


def child(turned: torch.Tensor) -> FusionNetwork:
    """A network with other weights, another standardisation and turned directions of texts."""
    made = network(2)
    made.signal_mean.copy_(torch.randn(len(definition.SIGNALS)))
    made.signal_scale.copy_(torch.rand(len(definition.SIGNALS)) + 0.2)
    made.text_basis.copy_(turned)
    return made


def test_it_says_of_every_list_what_its_parent_says_but_for_a_constant() -> None:
    torch.manual_seed(0)
    before = parent()
    turn, _ = torch.linalg.qr(torch.randn(8, 8))
    after = child(before.text_basis @ turn)
    one = export.example(before, items=6)
    # One shopper a list, however well known: the constants of both lines are one to its items.
    one.signals[..., definition.INDEX["shopper_items"]] = 1.6
    lists = one.tensors()
    with torch.no_grad():
        old, start = before(*lists)[0], after(*lists)[0]
        (weights,) = unpacked(warm_start.packed([before]))
        assert warm_start.begin(after, weights)
        new = after(*lists)[0]
    shifted = (new - old) - (new - old).mean(dim=1, keepdim=True)
    assert shifted.abs().max() < 1e-3
    assert (start - old).abs().max() > 0.1


def test_a_network_of_another_shape_begins_by_itself() -> None:
    (weights,) = unpacked(warm_start.packed([network(1)]))
    other = {**weights, "heads.weight": np.zeros((3, 99), dtype=np.float32)}
    made = network(2)
    before = {name: value.clone() for name, value in made.state_dict().items()}
    assert not warm_start.begin(made, other)
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())


@pytest.mark.parametrize("keeps", [True, False])
def test_what_serves_is_begun_from_where_it_kept_its_weights(tmp_path: Path, keeps: bool) -> None:
    registry = Registry(tmp_path, "shop")
    assert warm_start.read(registry) is None
    made = parts(1)
    optional = {artifact.WEIGHTS: warm_start.packed([network(1), network(2)])} if keeps else {}
    whole = artifact.Parts(
        made.model, made.table, made.measured_model, made.measured_table, optional
    )
    artifact.write(registry.path("v1"), whole, manifest("v1"))
    registry.promote("v1")
    found = warm_start.read(registry)
    if not keeps:
        assert found is None
        return
    assert found is not None
    assert (found.version, len(found.networks)) == ("v1", 2)
    assert np.array_equal(found.networks[1]["heads.weight"], network(2).heads.weight.detach())
