"""Training holds native libraries to as many threads as its schedule says."""

from collections.abc import Iterator

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from reranker.learning import threads


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    with threadpool_limits():
        yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("count", [2, 1])
def test_all_libraries_use_as_many_as_they_are_held_to(count: int) -> None:
    threads.hold_to(count)
    assert {library["num_threads"] for library in threadpool_info()} == {count}
    assert torch.get_num_threads() == count
