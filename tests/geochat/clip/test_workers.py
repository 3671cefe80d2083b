"""Batches beside each other, each on one core: what they compute, and that nothing else changes its number of cores."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from geochat.clip import Classifier, DualEncoder
from geochat.clip.workers import lone_workers


def threads_of_new_thread():
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


def test_workers_compute_alone_and_others_as_before():
    before = torch.get_num_threads()
    with lone_workers() as (pool, count):
        assert count == before
        assert {pool.submit(torch.get_num_threads).result() for _ in range(4 * count)} == {1}
        assert torch.get_num_threads() == before
        assert threads_of_new_thread() == before
    assert threads_of_new_thread() == before


def test_no_more_images_are_read_than_are_soon_encoded():
    encoder = DualEncoder.from_pretrained()
    taken = []

    def pictures():
        for number in range(1000):
            taken.append(number)
            yield np.full((8, 8, 3), number % 256, np.uint8)

    found = Classifier.zero_shot(encoder, ["forest", "beach"]).classify_many(pictures(), batch_size=8)
    assert next(found).label in {"forest", "beach"}
    found.close()
    assert len(taken) <= 8 * 3
