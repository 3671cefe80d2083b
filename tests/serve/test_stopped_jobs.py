"""Searches that are stopped give back their place in the queue, at whatever moment."""

import asyncio
import time

import pytest
from serve_scripted import ScriptedEngine
from serve_wire import run

from geochat import GeoChat
from geochat_serve.answering import AnswerService
from geochat_serve.jobs import FindSpec, Jobs
from geochat_serve.open_scene import OpenScene
from geochat_serve.queue import FairQueue


@pytest.mark.parametrize("busy", [0, 0.02])
def test_the_next_search_is_not_kept_waiting(storage, pictures, busy):
    spec = FindSpec(("it",), window=200, overlap=0.0)

    async def scenario(scene):
        answers = AnswerService(GeoChat(ScriptedEngine()), FairQueue(2, 8))
        jobs = Jobs(answers, storage)
        for number in range(12):
            job = await jobs.start("ada", scene, spec)
            await asyncio.sleep(0.004 * (number % 4))
            jobs.remove("ada", job.id)
            time.sleep(busy)  # holds the loop, so that the job's thread goes on before it
        while jobs.running:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        left = answers.queue.computing
        await asyncio.to_thread(jobs.close)
        answers.close()
        return left

    with OpenScene.open(pictures / "wide.png", "wide.png", owned=False) as scene:
        assert run(scenario(scene)) == 0
