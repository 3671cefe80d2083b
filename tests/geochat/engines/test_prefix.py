import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geochat.engines.attention import KeyValues
from geochat.engines.prefix import PrefixCache

TOKEN = 2 * 4  # bytes: one key and one value, a float each


def keyvalues(key, start=0):
    """One layer, whose value at each position is a number for all the tokens up to there."""
    numbers = [hash(key[: end + 1]) % 100_003 for end in range(start, len(key))]
    tensor = torch.tensor(numbers, dtype=torch.float32).view(1, 1, -1, 1)
    return KeyValues(((tensor, tensor + 0.5),))


def read(beginning):
    return [number for held, length in beginning.pieces for number in held.layers[0][0][0, 0, :length, 0].tolist()]


def all_of(key):
    return read_one(keyvalues(key))


def read_one(held):
    return held.layers[0][0][0, 0, :, 0].tolist()


@pytest.fixture(autouse=True)
def everything_is_worthwhile(monkeypatch):
    monkeypatch.setattr("geochat.engines.prefix._WORTHWHILE", 1)


def test_a_longest_common_beginning_is_found_and_never_all():
    cache = PrefixCache(10_000)
    cache.insert((1, 2, 3, 4), 0, keyvalues((1, 2, 3, 4)))
    assert read(cache.find((1, 2, 3, 4, 5), 0)) == all_of((1, 2, 3, 4))
    assert read(cache.find((1, 2, 9), 0)) == all_of((1, 2))
    assert read(cache.find((1, 2, 3, 4), 0)) == all_of((1, 2, 3))
    assert not cache.find((2, 3, 4), 0)
    assert not cache.find((1,), 0)
    assert (cache.stats.hits, cache.stats.misses, cache.stats.reused_tokens) == (3, 2, 9)


def test_paths_that_part_share_what_they_have_in_common():
    cache = PrefixCache(10_000)
    cache.insert((1, 2, 3, 4), 0, keyvalues((1, 2, 3, 4)))
    cache.insert((1, 2, 7), 0, keyvalues((1, 2, 7)))
    assert (cache.stats.entries, cache.stats.bytes) == (3, 5 * TOKEN)
    assert read(cache.find((1, 2, 3, 4, 0), 0)) == all_of((1, 2, 3, 4))
    assert read(cache.find((1, 2, 7, 0), 0)) == all_of((1, 2, 7))


def test_only_what_is_new_is_added():
    cache = PrefixCache(10_000)
    cache.insert((1, 2), 0, keyvalues((1, 2)))
    found = cache.insert((1, 2, 3), 2, keyvalues((1, 2, 3), start=2))
    assert read(found) == all_of((1, 2, 3))
    again = cache.insert((1, 2, 3), 0, keyvalues((1, 2, 3)))
    assert [held for held, _ in again.pieces] == [held for held, _ in found.pieces]
    assert cache.stats.bytes == 3 * TOKEN


def test_what_ends_within_the_image_is_nothing_and_little_beyond_it_is_cut(monkeypatch):
    monkeypatch.setattr("geochat.engines.prefix._WORTHWHILE", 3)
    cache = PrefixCache(10_000)
    cache.insert((1, 2, 3, 4, 5, 6), 0, keyvalues((1, 2, 3, 4, 5, 6)))
    assert not cache.find((1, 2, 9, 9, 9, 9, 9), 3)
    assert len(cache.find((1, 2, 3, 4, 5, 9, 9), 3)) == 3
    assert len(cache.find((1, 2, 3, 4, 5, 6, 9), 3)) == 6


def test_what_continues_something_given_up_is_not_kept():
    cache = PrefixCache(1000)
    cache.insert((1, 2, 3, 4), 2, keyvalues((1, 2, 3, 4), start=2))
    assert cache.stats.entries == 0
    assert not cache.find((1, 2, 3, 4, 5), 0)


def test_adapters_have_trees_of_their_own():
    cache = PrefixCache(10_000)
    cache.insert((1, 2, 3), 0, keyvalues((1, 2, 3)), "a")
    assert not cache.find((1, 2, 3, 4), 0)
    assert not cache.find((1, 2, 3, 4), 0, "b")
    assert len(cache.find((1, 2, 3, 4), 0, "a")) == 3


def test_the_least_recently_used_goes_first():
    cache = PrefixCache(4 * TOKEN)
    cache.insert((1, 1), 0, keyvalues((1, 1)))
    cache.insert((2, 2), 0, keyvalues((2, 2)))
    cache.find((1, 1, 0), 0)
    cache.insert((3, 3), 0, keyvalues((3, 3)))
    assert cache.find((1, 1, 0), 0)
    assert not cache.find((2, 2, 0), 0)
    assert cache.stats.evictions == 1


def test_what_is_continued_outlives_what_continues_it():
    cache = PrefixCache(6 * TOKEN)
    cache.insert((1, 2), 0, keyvalues((1, 2)))
    for last in range(3, 20):
        cache.insert((1, 2, last, last), 2, keyvalues((1, 2, last, last), start=2))
    assert len(cache.find((1, 2, 0), 0)) == 2
    assert len(cache.find((1, 2, 19, 19, 0), 0)) == 4


def test_what_is_too_large_is_given_back_and_not_kept():
    cache = PrefixCache(2 * TOKEN)
    assert read(cache.insert((1, 2, 3), 0, keyvalues((1, 2, 3)))) == all_of((1, 2, 3))
    assert (cache.stats.entries, cache.stats.bytes, cache.stats.evictions) == (0, 0, 1)


def test_off_keeps_nothing():
    cache = PrefixCache(0)
    assert read(cache.insert((1, 2, 3), 0, keyvalues((1, 2, 3)))) == all_of((1, 2, 3))
    assert not cache.find((1, 2, 3, 4), 0)
    assert (cache.stats.entries, cache.stats.bytes) == (0, 0)


def test_clearing_gives_everything_up():
    cache = PrefixCache(1000)
    cache.insert((1, 2, 3), 0, keyvalues((1, 2, 3)))
    cache.clear()
    assert (cache.stats.entries, cache.stats.bytes) == (0, 0)
    assert not cache.find((1, 2, 3, 4), 0)


KEYS = st.lists(st.integers(0, 2), min_size=1, max_size=8).map(tuple)


@given(st.lists(st.tuples(st.booleans(), KEYS), max_size=40), st.integers(0, 30))
@settings(max_examples=200, deadline=None)
def test_any_schedule_finds_what_belongs_to_the_tokens_and_stays_within_its_memory(schedule, room):
    """Against a list of everything inserted; nothing is given up while there is room."""
    cache = PrefixCache(room * TOKEN)
    inserted = set()
    for insert, key in schedule:
        if insert:
            inserted |= {key[:end] for end in range(1, len(key) + 1)}
            start = len(cache.find(key, 0))
            assert read(cache.insert(key, start, keyvalues(key, start)))[-1:] == all_of(key)[-1:]
        else:
            found = cache.find(key, 0)
            assert read(found) == all_of(key)[: len(found)]
            if not cache.stats.evictions and room:
                longest = max((end for end in range(len(key)) if key[:end] in inserted), default=0)
                assert len(found) == longest
        stats = cache.stats
        assert stats.bytes <= stats.max_bytes
        assert (stats.entries == 0) == (stats.bytes == 0)
    if room >= sum(map(len, inserted)) and room:
        assert cache.stats.bytes == len(inserted) * TOKEN


def test_threads_do_not_disturb_each_other():
    cache = PrefixCache(40 * TOKEN)
    wrong = []

    def work(seed):
        generator = torch.Generator().manual_seed(seed)
        for _ in range(200):
            key = tuple(torch.randint(0, 3, (8,), generator=generator).tolist())
            found = cache.find(key, 0)
            if read(found) != all_of(key)[: len(found)]:
                wrong.append(key)
            cache.insert(key, len(found), keyvalues(key, len(found)))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert cache.stats.bytes <= 40 * TOKEN
