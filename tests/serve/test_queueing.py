"""Whose turn it is."""

import asyncio

import pytest

from geochat_serve.queueing import FairQueue, QueueFullError


def run(scenario):
    return asyncio.run(asyncio.wait_for(scenario, 10))


async def serve_all(queue, users):
    """Everybody joins at once; the order in which turns are had."""
    served = []

    async def one(user):
        async with queue.turn(user):
            served.append(user)
            await asyncio.sleep(0)

    await asyncio.gather(*(one(user) for user in users))
    return served


def test_users_take_turns_however_much_one_asks():
    assert run(serve_all(FairQueue(1, 8), "aaaabc")) == ["a", "b", "c", "a", "a", "a"]


def test_no_more_at_once_than_there_are_slots():
    async def scenario():
        queue, now, most = FairQueue(3, 8), 0, 0

        async def one(user):
            nonlocal now, most
            async with queue.turn(user):
                now += 1
                most = max(most, now)
                await asyncio.sleep(0.01)
                now -= 1

        await asyncio.gather(*(one(f"user {number}") for number in range(10)))
        return most

    assert run(scenario()) == 3


def test_places_are_told_and_fall():
    async def scenario():
        queue = FairQueue(1, 8)
        first, second, third = (queue.join(user) for user in "abc")
        places = third.places()
        seen = [await anext(places)]
        first.leave()
        seen.append(await anext(places))
        second.leave()
        return [*seen, *[place async for place in places]], third.served

    assert run(scenario()) == ([1, 0], True)


def test_one_that_leaves_while_waiting_holds_up_nobody():
    async def scenario():
        queue = FairQueue(1, 8)
        first, second, third = (queue.join(user) for user in "aab")
        second.leave()
        second.leave()
        first.leave()
        return third.served

    assert run(scenario())


def test_a_user_may_have_so_many_waiting():
    async def scenario():
        queue = FairQueue(1, 2)
        for _ in range(3):  # one served, two waiting
            queue.join("a")
        queue.join("b")
        with pytest.raises(QueueFullError, match="2 of your questions"):
            queue.join("a")

    run(scenario())


def test_nothing_is_remembered_of_users_who_left():
    async def scenario():
        queue = FairQueue(2, 2)
        await serve_all(queue, [str(number) for number in range(50)])
        return queue._lines, queue._served

    assert run(scenario()) == ({}, set())  # nothing keeps growing


def test_many_pages_of_one_client_hold_up_no_other_client():
    async def scenario():
        queue, served = FairQueue(1, 8), []

        async def one(user, client):
            async with queue.turn(user, client):
                served.append(user)
                await asyncio.sleep(0)

        greedy = [one(f"page {number}", "greedy") for number in range(6)]
        await asyncio.gather(*greedy, one("other", "other"))
        return served

    assert run(scenario()).index("other") == 1


def test_pages_of_one_client_take_turns():
    async def scenario():
        queue, served = FairQueue(1, 8), []

        async def one(user):
            async with queue.turn(user, "school"):
                served.append(user)
                await asyncio.sleep(0)

        await asyncio.gather(*(one(user) for user in "aaab"))
        return served, queue._lines, queue._last

    assert run(scenario()) == (["a", "b", "a", "a"], {}, {})


def test_a_client_may_have_so_many_waiting():
    async def scenario():
        queue = FairQueue(1, 2)
        for number in range(9):  # one served, eight waiting
            queue.join(f"page {number}", "greedy")
        assert queue.length == 8
        with pytest.raises(QueueFullError, match="8 questions from where you are"):
            queue.join("page 9", "greedy")
        queue.join("other", "other")

    run(scenario())
