import numpy as np
import pytest
import torch

from geochat.errors import CheckpointError
from geochat.vision import interpolate_positions


def test_equals_the_original(fixtures):
    recorded = np.load(fixtures / "positions_24_to_36.npz")
    ours = interpolate_positions(torch.tensor(recorded["before"]), 36)
    assert np.array_equal(ours.numpy(), recorded["after"])


def test_equals_the_original_on_every_channel_and_in_half_precision(shared):
    recorded = np.load(shared / "reference/original/pos_embed.npz")
    ours = interpolate_positions(torch.tensor(recorded["raw_577"]), 36)
    assert np.array_equal(ours.numpy(), recorded["interp_1297_fp32"])
    assert np.array_equal(ours.half().numpy(), recorded["interp_1297_fp16"])


def test_keeps_the_class_token_and_the_corners():
    table = torch.randn(1 + 9, 5)
    wide = interpolate_positions(table, 7)
    assert wide.shape == (50, 5)
    assert torch.equal(wide[0], table[0])
    for ours, theirs in ((1, 1), (7, 3), (43, 7), (49, 9)):  # align_corners: corner patches keep their embedding
        assert torch.allclose(wide[ours], table[theirs], atol=1e-6)


def test_same_size_is_unchanged():
    table = torch.randn(17, 3, dtype=torch.float16)
    assert interpolate_positions(table, 4) is table


@pytest.mark.parametrize("rows", [1, 3, 578])
def test_a_table_that_is_no_square_is_an_error(rows):
    with pytest.raises(CheckpointError, match=f"{rows} rows"):
        interpolate_positions(torch.zeros(rows, 2), 4)
