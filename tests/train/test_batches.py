"""Rows, their order, and joined rows: the loss of separate ones at the price of one image."""

import numpy as np
import pytest
import torch

from geochat.checkpoints import load
from geochat.errors import DataError
from geochat_data.encoding import Collator
from geochat_train.loop import training_order
from geochat_train.tuning.packing import RowCollator
from geochat_train.tuning.rows import read_rows


@pytest.fixture(scope="module")
def checkpoint(base):
    return load(base, device="cpu")


def test_every_pass_takes_each_row_once():
    order = training_order(np.arange(40, dtype=np.int32), 8, 15, seed=3, group=True)
    for start in (0, 40, 80):
        assert sorted(order[start : start + 40]) == list(range(40))
    uneven = training_order(np.arange(42, dtype=np.int32), 8, 21, seed=3, group=True)  # four passes of 5.25 batches
    assert np.bincount(uneven).tolist() == [4] * 42


def test_order_is_the_seeds_alone():
    lengths = np.random.default_rng(0).integers(5, 500, 300).astype(np.int32)
    assert (training_order(lengths, 4, 50, 1) == training_order(lengths, 4, 50, 1)).all()
    assert (training_order(lengths, 4, 50, 1) != training_order(lengths, 4, 50, 2)).any()


def test_batches_hold_rows_of_like_length():
    lengths = np.random.default_rng(0).integers(5, 500, 1000).astype(np.int32)

    def padding(group):
        batches = lengths[training_order(lengths, 8, 125, 1, group=group)].reshape(-1, 8)
        return (batches.max(1, keepdims=True) - batches).sum() / batches.sum()

    assert padding(True) < 0.05
    assert padding(False) > 0.5


def test_joined_rows_have_the_loss_of_separate_ones(checkpoint, material):
    options = {"max_length": 400, "share_images": True}
    rows = read_rows(material / "train.jsonl", None, checkpoint.processor, **options)
    assert len(rows) == 12  # ten images, two questions about none
    collate = RowCollator(Collator(checkpoint.processor, material, 400))
    batch = collate([rows[0], rows[1], rows[11]])
    assert batch["attention_mask"].ndim == 4
    assert len(batch["pixel_values"]) == 2
    with torch.no_grad():
        together = checkpoint.model(**batch).loss
        total, count = 0.0, 0
        for row in (rows[0], rows[1], rows[11]):
            for sample in row:
                alone = collate([(sample,)])
                learnt = int((alone["labels"] != -100).sum())
                total += float(checkpoint.model(**alone).loss) * learnt
                count += learnt
    assert float(together) == pytest.approx(total / count, abs=1e-5)


def test_lengths_are_those_of_the_batches(checkpoint, material):
    for share in (False, True):
        rows = read_rows(material / "train.jsonl", None, checkpoint.processor, max_length=300, share_images=share)
        collate = RowCollator(Collator(checkpoint.processor, material, 300))
        for index in (0, 5, len(rows) - 1):
            assert collate([rows[index]])["input_ids"].shape == (1, rows.lengths[index])


def test_long_samples_are_left_out_and_counted(checkpoint, material):
    middle = int(np.median(read_rows(material / "train.jsonl", None, checkpoint.processor, max_length=400).lengths))
    rows = read_rows(material / "train.jsonl", None, checkpoint.processor, max_length=middle)
    assert 0 < len(rows) < 32
    assert f"{32 - len(rows)} sample that cannot be trained on" in str(rows.report)
    assert rows.lengths.max() <= middle


def test_missing_images_are_told_before_training(checkpoint, material, tmp_path):
    with pytest.raises(DataError, match=r"10 of 10 images are not in .*, such as 0.png"):
        read_rows(material / "train.jsonl", tmp_path, checkpoint.processor, max_length=300)


def test_nothing_to_train_on(checkpoint, tmp_path):
    file = tmp_path / "bad.jsonl"
    file.write_text('not json\n{"id": "1", "conversations": []}\n')
    with pytest.raises(DataError, match=r"holds no sample to train on .*not JSON"):
        read_rows(file, None, checkpoint.processor, max_length=300)
