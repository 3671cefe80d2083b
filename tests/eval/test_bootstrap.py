import tracemalloc

import numpy as np
import pytest

from geochat_eval.bootstrap import Shares, Sums


def shares(hits, total, **options):
    counted = Shares(("right",), **options)
    for number in range(total):
        counted.add([(number < hits, 1)], ["even" if number % 2 == 0 else "odd"])
    return counted


def test_intervals_are_those_of_the_binomial():
    figure = shares(800, 4000).figure("right")
    half = 100 * 1.96 * (0.2 * 0.8 / 4000) ** 0.5
    assert figure.percent == 20
    assert figure.low == pytest.approx(20 - half, abs=0.15)
    assert figure.high == pytest.approx(20 + half, abs=0.15)
    assert figure.n == 4000


def test_the_seed_fixes_them():
    first, again, other = (shares(30, 100, seed=seed).figure("right") for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_groups_and_their_mean():
    counted = shares(2, 3)  # even: 1 of 2, odd: 1 of 1
    assert counted.groups == ["even", "odd"]
    assert counted.figure("right", "even").percent == 50
    assert counted.mean("right", ["even", "odd"]).percent == 75
    assert set(counted.figures()) == {"right", "right/even", "right/odd"}


def test_out_of_nothing_is_not_a_number():
    counted = Shares(("right",), replicates=10)
    counted.add([(0, 0)])
    assert np.isnan(counted.figure("right").percent)


def test_without_replicates_there_is_no_interval():
    figure = shares(1, 4, replicates=0).figure("right")
    assert figure.percent == 25
    assert np.isnan(figure.low)


def peak(count):
    """Bytes held at most while `count` answers are added."""
    tracemalloc.start()
    sums = Sums(2, replicates=10)
    for _ in range(count):
        sums.add([1.0, 2.0], ["g"])
    assert sums.of("g")[0].tolist() == [count, 2 * count]
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def test_memory_does_not_grow_with_the_answers():
    peak(10)  # what is allocated once
    assert peak(8192) < 1.3 * peak(2048)
