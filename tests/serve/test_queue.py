"""The queue is fair to pages and to clients."""

import asyncio

import pytest
from serve_wire import run

from geochat_serve.queue import FairQueue, QueueFullError


async def serve_all(queue, users):
    """Let everybody join at once: the order in which they are served."""
    served = []

    async def one(user):
        async with queue.slot(user):
            served.append(user)
            await asyncio.sleep(0)

    await asyncio.gather(*(one(user) for user in users))
    return served


def test_pages_take_turns_however_much_one_asks():
    assert run(serve_all(FairQueue(1, 8), "aaaabc")) == ["a", "b", "c", "a", "a", "a"]


def test_no_more_at_once_than_there_are_slots():
    async def scenario():
        queue, now, most = FairQueue(3, 8), 0, 0

        async def one(user):
            nonlocal now, most
            async with queue.slot(user):
                now += 1
                most = max(most, now)
                await asyncio.sleep(0)
                now -= 1

        await asyncio.gather(*(one(f"user {number}") for number in range(10)))
        return most

    assert run(scenario()) == 3


def test_positions_are_reported_and_fall():
    async def scenario():
        queue = FairQueue(1, 8)
        first, second, third = (queue.join(user) for user in "abc")
        positions = third.positions()
        seen = [await anext(positions)]
        first.leave()
        seen.append(await anext(positions))
        second.leave()
        return [*seen, *[place async for place in positions]], third.served

    assert run(scenario()) == ([1, 0], True)


def test_a_ticket_that_leaves_while_waiting_delays_nobody():
    async def scenario():
        queue = FairQueue(1, 8)
        first, second, third = (queue.join(user) for user in "aab")
        second.leave()
        second.leave()
        first.leave()
        return third.served

    assert run(scenario())


def test_a_page_may_have_so_many_waiting():
    async def scenario():
        queue = FairQueue(1, 2)
        for _ in range(3):  # one served, two waiting
            queue.join("a")
        queue.join("b")
        with pytest.raises(QueueFullError, match="2 of your questions"):
            queue.join("a")

    run(scenario())


def test_nothing_is_remembered_of_pages_that_left():
    async def scenario():
        queue = FairQueue(2, 2)
        await serve_all(queue, [str(number) for number in range(50)])
        return queue.clients, queue.length, queue.computing

    assert run(scenario()) == ((), 0, 0)


def test_many_pages_of_one_client_delay_no_other_client():
    async def scenario():
        queue, served = FairQueue(1, 8), []

        async def one(user, client):
            async with queue.slot(user, client):
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
            async with queue.slot(user, "school"):
                served.append(user)
                await asyncio.sleep(0)

        await asyncio.gather(*(one(user) for user in "aaab"))
        return served, queue.clients

    assert run(scenario()) == (["a", "b", "a", "a"], ())


def test_a_client_may_have_so_many_waiting():
    async def scenario():
        queue = FairQueue(1, 2)
        for number in range(9):  # one served, eight waiting
            queue.join(f"page {number}", "greedy")
        assert queue.length == 8
        with pytest.raises(QueueFullError, match="8 questions from your login or address"):
            queue.join("page 9", "greedy")
        queue.join("other", "other")

    run(scenario())


async def order_of_service(queue, tickets):
    """Serve tickets of `(page, background)` one after the other: the pages in the order of their turns."""
    joined = {queue.join(page, background=background): page for page, background in tickets}
    served = []
    while joined:
        now = [ticket for ticket in joined if ticket.served]
        served += [joined.pop(ticket) for ticket in now]
        for ticket in now:
            ticket.leave()
    return "".join(served)


def test_questions_go_before_background_work():
    async def scenario():
        queue = FairQueue(1, 8)
        first = queue.join("first")
        waiting = [queue.join("scene", background=True), queue.join("ada"), queue.join("grace")]
        ahead = [queue.ahead(ticket) for ticket in waiting]
        first.leave()
        return ahead, [ticket.served for ticket in waiting], queue.length

    assert run(scenario()) == ([2, 0, 1], [False, True, False], 1)


def test_background_work_advances_however_many_ask():
    """One turn in eight is its own."""

    async def scenario():
        queue = FairQueue(1, 99)
        return await order_of_service(queue, [("first", False)] + [("s", True)] * 2 + [("q", False)] * 20)

    assert run(scenario()) == "first" + "q" * 7 + "s" + "q" * 7 + "s" + "q" * 6


def test_background_work_holds_an_eighth_of_the_slots():
    async def scenario():
        queue = FairQueue(16, 8)
        work = [queue.join(f"scene {number}", background=True) for number in range(5)]
        question = queue.join("ada")
        return [ticket.served for ticket in work], question.served

    assert run(scenario()) == ([True, True, False, False, False], True)


def test_background_work_is_fair_to_its_owners():
    async def scenario():
        return await order_of_service(FairQueue(1, 8), [(page, True) for page in "aaab"])

    assert run(scenario()) == "abaa"
