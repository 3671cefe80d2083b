"""Searches that are stopped give back their place in the queue, at whatever moment."""

import asyncio
import time

import pytest
from serve_scripted import SEARCH, job_service, until
from serve_wire import run


@pytest.mark.parametrize("busy", [0, 0.02])
def test_the_next_search_is_not_kept_waiting(storage, wide_scene, busy):
    async def scenario():
        async with job_service(storage) as (jobs, answers):
            for number in range(12):
                job = await jobs.start("ada", wide_scene, SEARCH)
                await asyncio.sleep(0.004 * (number % 4))
                jobs.remove("ada", job.id)
                time.sleep(busy)  # holds the loop, so that the job's thread goes on before it
            await until(lambda: not jobs.running)
            await asyncio.sleep(0.05)
            return answers.queue.computing

    assert run(scenario()) == 0
