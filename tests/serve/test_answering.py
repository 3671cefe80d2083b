"""An answer whose reader goes away ends; what was written stays."""

import asyncio
from contextlib import suppress

import pytest
from serve_wire import run

from geochat import GeoChat
from geochat.errors import GeoChatError
from geochat_serve.answering import AnswerService
from geochat_serve.open_scene import open_sample
from geochat_serve.queue import FairQueue
from geochat_serve.sessions import SessionStore


@pytest.fixture
def session(storage):
    started = SessionStore(storage, max_sessions=1, timeout_s=1, max_corrections=1).attach("page", None, None)
    started.open_scene(open_sample("tanks.png"), storage)
    return started


@pytest.fixture
def answers(engine):
    service = AnswerService(GeoChat(engine), FairQueue(1, 1))
    yield service
    service.close()


def start(answers, session, question="slow"):
    exchange = answers.start(session, question, "Question", (), None)
    return exchange, answers.answer(session, exchange)


def assert_ended(answers, session, engine, exchange):
    assert engine.running == 0
    assert not session.busy
    assert answers.queue.computing == 0
    assert exchange.status == "stopped"
    assert exchange.raw.startswith("word0")
    assert exchange.answer.text == exchange.raw


def test_a_reader_that_leaves_between_two_words(answers, session, engine):
    async def scenario():
        exchange, updates = start(answers, session)
        async for _ in updates:
            if exchange.parts:
                break
        assert engine.running == 1
        await updates.aclose()
        return exchange

    assert_ended(answers, session, engine, run(scenario()))


def test_a_reader_that_is_cancelled_while_a_word_is_computed(answers, session, engine):
    async def scenario():
        writing = asyncio.Event()
        exchange, updates = start(answers, session)

        async def read():
            async for _ in updates:
                if exchange.parts:
                    writing.set()

        reader = asyncio.create_task(read())
        await writing.wait()
        await asyncio.sleep(0)  # until the next word is awaited
        reader.cancel()
        with suppress(asyncio.CancelledError):
            await reader
        return exchange

    assert_ended(answers, session, engine, run(scenario()))


def test_the_next_question_is_answered(answers, session, engine):
    async def scenario():
        _, updates = start(answers, session)
        async for _ in updates:
            await updates.aclose()
        exchange, updates = start(answers, session, "short")
        async for _ in updates:
            pass
        return exchange

    exchange = run(scenario())
    assert (exchange.status, exchange.raw) == ("done", "yes")
    assert engine.running == 0


def test_a_question_stopped_in_the_queue_never_reaches_the_engine(answers, session, engine):
    count = len(engine.requests)

    async def scenario():
        exchange, updates = start(answers, session, "short")
        first = answers.queue.join("somebody else")
        await anext(updates)
        await anext(updates)
        assert exchange.status == "waiting"
        session.stop()
        first.leave()  # its turn comes at the same moment
        async for _ in updates:
            pass
        return exchange

    assert run(scenario()).status == "stopped"
    assert len(engine.requests) == count
    assert not session.busy


def test_stopping_cancels_by_the_request_s_id(answers, session, engine):
    async def scenario():
        exchange, updates = start(answers, session)
        async for _ in updates:
            if exchange.parts:
                session.stop()
        return exchange

    exchange = run(scenario())
    assert exchange.status == "stopped"
    assert engine.requests[-1].id in engine.cancelled
    assert [notice.code for notice in exchange.answer_notices] == ["cancelled"]


def test_an_answer_that_ended_cancels_nothing(answers, session, engine):
    async def scenario():
        async for _ in start(answers, session, "short")[1]:
            pass

    run(scenario())
    assert engine.requests[-1].id not in engine.cancelled


@pytest.mark.parametrize(("task", "message"), [("Find", "Find needs words"), ("Auto", "question is empty")])
def test_a_question_without_words_is_refused_if_it_needs_some(answers, session, task, message):
    with pytest.raises(GeoChatError, match=message):
        answers.start(session, " ", task, (), None)
    assert session.exchanges == []
    assert not session.busy
