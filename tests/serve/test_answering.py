"""What happens to an answer whose reader goes away."""

import asyncio
from contextlib import suppress

import pytest

from geochat import GeoChat
from geochat.errors import GeoChatError
from geochat_serve.answering import Answerer
from geochat_serve.gallery import open_sample
from geochat_serve.queueing import FairQueue
from geochat_serve.sessions import Sessions


@pytest.fixture
def session(workspace):
    begun = Sessions(workspace, most=1, grace_s=1, kept=1).enter("page", None, None)
    begun.open(open_sample("tanks.png"), workspace)
    return begun


@pytest.fixture
def answerer(engine):
    made = Answerer(GeoChat(engine), FairQueue(1, 1))
    yield made
    made.close()


def ask(answerer, session):
    turn = answerer.begin(session, "slow", "Question", (), None)
    return turn, answerer.answer(session, turn)


def assert_ended(answerer, session, engine, turn):
    """Nothing is computed, nobody is waited for, and the words written so far stay."""
    assert engine.running == 0
    assert not session.busy
    assert answerer.queue._served == set()
    assert turn.status == "stopped"
    assert turn.raw.startswith("word0")
    assert turn.answer.text == turn.raw


def test_a_reader_that_leaves_between_two_words(answerer, session, engine):
    async def scenario():
        turn, pieces = ask(answerer, session)
        async for _ in pieces:
            if turn.parts:
                break
        assert engine.running == 1
        await pieces.aclose()
        return turn

    assert_ended(answerer, session, engine, asyncio.run(scenario()))


def test_a_reader_that_is_cancelled_while_a_word_is_computed(answerer, session, engine):
    async def scenario():
        begun = asyncio.Event()
        turn, pieces = ask(answerer, session)

        async def read():
            async for _ in pieces:
                if turn.parts:
                    begun.set()

        reader = asyncio.create_task(read())
        await begun.wait()
        await asyncio.sleep(0)  # on to the next words
        reader.cancel()
        with suppress(asyncio.CancelledError):
            await reader
        return turn

    assert_ended(answerer, session, engine, asyncio.run(scenario()))


def test_the_next_question_is_answered(answerer, session, engine):
    async def scenario():
        _turn, pieces = ask(answerer, session)
        async for _ in pieces:
            await pieces.aclose()
        turn = answerer.begin(session, "short", "Question", (), None)
        async for _ in answerer.answer(session, turn):
            pass
        return turn

    turn = asyncio.run(scenario())
    assert (turn.status, turn.raw) == ("done", "yes")
    assert engine.running == 0


def test_a_question_stopped_in_the_queue_never_reaches_the_engine(answerer, session, engine):
    asked = len(engine.requests)

    async def scenario():
        turn = answerer.begin(session, "short", "Question", (), None)
        first = answerer.queue.join("somebody else")
        pieces = answerer.answer(session, turn)
        await anext(pieces)
        await anext(pieces)
        assert turn.status == "waiting"
        session.stop()
        first.leave()  # its turn comes at the same moment
        async for _ in pieces:
            pass
        return turn

    turn = asyncio.run(scenario())
    assert turn.status == "stopped"
    assert len(engine.requests) == asked
    assert not session.busy


def test_stopping_cancels_by_the_request_s_id(answerer, session, engine):
    async def scenario():
        turn, pieces = ask(answerer, session)
        async for _ in pieces:
            if turn.parts:
                session.stop()
        return turn

    turn = asyncio.run(scenario())
    assert turn.status == "stopped"
    assert engine.requests[-1].id in engine.cancelled
    assert [remark.code for remark in turn.remarks] == ["cancelled"]


def test_an_answer_that_ended_cancels_nothing(answerer, session, engine):
    async def scenario():
        turn = answerer.begin(session, "short", "Question", (), None)
        async for _ in answerer.answer(session, turn):
            pass

    asyncio.run(scenario())
    assert engine.requests[-1].id not in engine.cancelled


@pytest.mark.parametrize(("task", "told"), [("Find", "Find needs words"), ("Auto", "question is empty")])
def test_what_needs_words_says_so(answerer, session, task, told):
    with pytest.raises(GeoChatError, match=told):
        answerer.begin(session, " ", task, (), None)
    assert session.turns == []
    assert not session.busy
