"""The slate policy, how it learns, the shoppers it learns from, and how it is kept."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from indexer.catalogue.generation import Generation
from indexer.catalogue.mapping import IndexConfig
from indexer.embedding.recipe import Recipe
from reranker.fusion import artifact
from reranker.fusion.registry import Registry, for_policy
from reranker.fusion.scorer import Scorer
from reranker.learning import policy_artifact, reinforce, shop_world, slate_policy
from reranker.learning.reinforce import Log, Schedule
from reranker.learning.shop_world import KINDS, ShopWorld, Visit
from reranker.learning.shopper_env import CANDIDATES, PLACES, ShopperEnv
from reranker.learning.slate_policy import BOUND, TEMPERATURE, SlatePolicy
from reranker.signals import definition

WIDTH = len(definition.SIGNALS)
TASTE, POPULAR = definition.INDEX["taste"], definition.INDEX["purchases"]
GENERATION = Generation("shop", "shop-000001", IndexConfig(), Recipe(encoder="hashed:8", dims=8))


@pytest.fixture(scope="module")
def world() -> ShopWorld:
    """Shoppers who stay with two of twelve kinds, and often buy the same again."""
    random, visits = np.random.default_rng(1), []
    for shopper in range(150):
        kinds, again = random.integers(0, KINDS, 2), np.zeros(0, np.int64)
        for number in range(4):
            items = random.choice(kinds, 4) * 15 + random.integers(0, 15, 4)
            visits.append(Visit(shopper, number * 86_400.0, np.r_[items, again[:4]]))
            again = visits[-1].items
    return shop_world.fitted(visits, KINDS * 15, seed=1)


def random_policy(seed: int, size: float = 1.0) -> SlatePolicy:
    torch.manual_seed(seed)
    policy = SlatePolicy(WIDTH)
    torch.nn.init.normal_(policy.outer.weight, std=size)
    return policy


def lists(count: int, seed: int, n: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, n, WIDTH)).astype(np.float32)


def model_input(signals: np.ndarray) -> dict[str, np.ndarray]:
    """What is there where no model serves; the policy looks at the signals alone."""
    vectors = np.zeros((len(signals), 8), np.float32)
    return {"signals": signals, "item_vectors": vectors, "history_vectors": vectors[:0]}


def test_an_untrained_policy_adds_nothing() -> None:
    assert not slate_policy.added(SlatePolicy(WIDTH), lists(3, 0)).any()


def test_what_it_adds_is_bounded_and_hangs_on_what_tells_candidates_apart() -> None:
    policy, signals = random_policy(1, size=50.0), lists(3, 0)
    added = slate_policy.added(policy, signals)
    assert np.abs(added).max() <= BOUND
    moved = signals + np.float32(5.0)  # the same for all candidates of a list
    np.testing.assert_allclose(slate_policy.added(policy, moved), added, atol=1e-3)


def test_the_kept_policy_serves_what_torch_would(tmp_path: Path) -> None:
    policy, signals = random_policy(2), lists(4, 5)
    signals[..., POPULAR] = 3.0
    registry = Registry(tmp_path, for_policy("shop"))
    now = datetime(2026, 1, 1, tzinfo=UTC)
    made = [
        policy_artifact.write(registry, GENERATION, policy, signals, {"kept": 1}, now)
        for _ in range(2)
    ]
    assert made[0].version != made[1].version
    for manifest in made:
        registry.promote(manifest.version)
    assert registry.rollback() == made[0].version
    loaded = artifact.load(registry.path(made[0].version))
    found = Scorer(loaded).residual(model_input(signals[0]))
    np.testing.assert_allclose(found, slate_policy.added(policy, signals)[0], atol=1e-4)
    changed = signals[0].copy()
    changed[:, POPULAR] = np.arange(len(changed))  # it never varied: nothing was learned of it
    again = Scorer(loaded).residual(model_input(changed))
    np.testing.assert_allclose(again, found, atol=1e-5)


def test_the_gradient_is_the_formula_of_the_paper() -> None:
    policy, signals = random_policy(3), lists(1, 7, n=4)
    log = Log(
        signals=signals,
        scores=np.array([[0.3, 0.1, 0.0, -0.2]]),
        slate=np.array([[2, 0]]),
        beta=np.array([[0.02, 0.4]]),
        rewards=np.array([[1.0, 0.0]]),
        returns=np.array([[1.0, 0.0]]),
        episode=np.array([0]),
    )
    advantage = np.array([[0.7, -0.4]])
    reinforce.loss(policy, log, advantage, np.array([0]), cap=3.0).backward()  # type: ignore[no-untyped-call]
    found = policy.outer.weight.grad.clone()  # type: ignore[union-attr]
    policy.zero_grad()
    scores = torch.from_numpy(log.scores).float() + policy(torch.from_numpy(signals))
    pi = torch.softmax(scores / TEMPERATURE, dim=1)[0]
    wanted = torch.zeros(())
    for place, row in enumerate((2, 0)):
        chance = float(pi[row].detach())
        weight = min(chance / log.beta[0, place], 3.0)
        several = 2 * (1 - chance) ** (2 - 1)
        wanted = wanted - weight * several * advantage[0, place] * torch.log(pi[row]) / 2
    wanted.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(found, policy.outer.weight.grad)


def test_it_finds_what_the_log_hardly_ever_shows() -> None:
    """The behaviour policy avoids the items that earn."""
    random, searches = np.random.default_rng(3), 1500
    signals = lists(searches, 9)
    scores = -signals[..., TASTE].astype(float)
    noise = random.gumbel(size=scores.shape)
    slate = np.argsort(-(scores / TEMPERATURE + noise), axis=1)[:, :4]
    good = np.take_along_axis(signals[..., TASTE], slate, axis=1)
    rewards = (random.random(slate.shape) < 0.2 + 0.2 * np.clip(good, -1, 1)).astype(float)
    beta = np.take_along_axis(reinforce.liked(scores), slate, axis=1)
    log = Log(signals, scores, slate, beta, rewards, rewards, np.arange(searches))
    torch.manual_seed(1)
    policy = SlatePolicy(WIDTH)
    reinforce.improve(policy, log, Schedule(epochs=12), seed=1)
    unseen = lists(200, 10)
    added = slate_policy.added(policy, unseen)
    correlation = np.corrcoef(added.ravel(), unseen[..., TASTE].ravel())[0, 1]
    assert correlation > 0.5


def test_simulated_shoppers_are_an_environment_of_gymnasium(world: ShopWorld) -> None:
    env = ShopperEnv(world)
    signals, _ = env.reset(seed=3)
    assert env.observation_space.contains(signals)
    with pytest.raises(ValueError, match="each candidate once"):
        env.step(np.zeros(PLACES, np.int64))


def test_the_same_seed_is_the_same_shopper(world: ShopWorld) -> None:
    env = ShopperEnv(world)
    found = [reinforce.episodes(env, reinforce.nothing, 20, seed) for seed in (4, 4, 5)]
    assert found[0][1] == found[1][1] != found[2][1]
    np.testing.assert_array_equal(found[0][0].slate, found[1][0].slate)


def test_what_is_fitted_says_what_was_planted(world: ShopWorld) -> None:
    assert world.liking[0] > 0  # taste
    assert world.liking[2] > 0  # what is owned is bought again
    assert world.returns == pytest.approx(0.75)  # three of four visits are followed by another
    assert sum(len(kin) for kin in world.kindred) == len(world.kind) == KINDS * 15


def test_who_is_shown_the_same_kind_over_and_over_clicks_less_and_leaves(world: ShopWorld) -> None:
    def same(env: ShopperEnv) -> np.ndarray:
        kind = env.world.kind[env._items]
        return 50.0 * (kind == np.bincount(kind).argmax())

    env = ShopperEnv(world)
    dull = reinforce.episodes(env, lambda _: same(env), 200, 6)[1]
    plain = reinforce.episodes(env, reinforce.nothing, 200, 6)[1]
    assert np.mean([it.apart for it in dull]) < np.mean([it.apart for it in plain])
    assert np.mean([it.searches for it in dull]) < np.mean([it.searches for it in plain])


def test_returns_are_own_rewards_and_a_share_of_all_that_comes_later() -> None:
    own = [np.full(PLACES, 0.1), np.full(PLACES, 0.2), np.zeros(PLACES)]
    found = reinforce._returns(own, 0.5)
    assert found[2].tolist() == [0.0] * PLACES
    assert found[1] == pytest.approx(0.2)
    assert found[0] == pytest.approx(0.1 + 0.5 * 2.0 / PLACES)


def test_candidates_are_as_many_as_declared_each_once(world: ShopWorld) -> None:
    env = ShopperEnv(world)
    for seed in range(30):
        env.reset(seed=seed)
        assert len(set(env._items.tolist())) == CANDIDATES
