"""The one check of vectors lets nothing through that an index must not hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from indexer.embedding.vectors import check_vectors, unit_rows
from indexer.errors import InvalidVector

UNIT = np.eye(3, 4, dtype=np.float32)


def test_unit_rows_pass_as_they_are() -> None:
    assert check_vectors(UNIT, count=3, dims=4).tobytes() == UNIT.tobytes()


@pytest.mark.parametrize(("count", "dims"), [(2, 4), (3, 5), (3, 3)])
def test_a_wrong_shape_is_refused(count: int, dims: int) -> None:
    with pytest.raises(InvalidVector, match="same dims"):
        check_vectors(UNIT, count=count, dims=dims)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused_with_its_row(value: float) -> None:
    broken = UNIT.copy()
    broken[1, 2] = value
    with pytest.raises(InvalidVector, match="vector 1 of 3"):
        check_vectors(broken, count=3, dims=4)


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.01])
def test_a_row_of_another_length_is_refused(factor: float) -> None:
    broken = UNIT.copy()
    broken[2] *= factor
    with pytest.raises(InvalidVector, match="vector 2 of 3"):
        check_vectors(broken, count=3, dims=4)


@given(
    arrays.arrays(
        np.float32, (3, 5), elements=st.floats(-1e6, 1e6, width=32).filter(lambda x: abs(x) > 1e-3)
    )
)
def test_normalised_rows_pass_the_check_and_keep_their_direction(rows: np.ndarray) -> None:
    unit = check_vectors(unit_rows(rows), count=3, dims=5)
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    np.testing.assert_allclose(unit, rows / lengths, atol=1e-5)


def test_a_row_without_length_stays_and_is_then_refused() -> None:
    unit = unit_rows(np.zeros((1, 4), dtype=np.float32))
    assert not unit.any()
    with pytest.raises(InvalidVector, match="length 0"):
        check_vectors(unit, count=1, dims=4)
