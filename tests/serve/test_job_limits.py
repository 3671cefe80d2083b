"""Searches in the background are fair to questions and to one another, and bounded."""

import pytest
from serve_scripted import SEARCH, job_service, until
from serve_wire import run

from geochat_serve import jobs as jobs_module
from geochat_serve.jobs import TooManyJobsError
from geochat_serve.storage import StorageFullError


def test_a_question_waits_for_one_window_at_most(storage, wide_scene):
    """With one slot, five searches of several owners compute one window before a question that was asked meanwhile."""

    async def scenario():
        async with job_service(storage, slots=1, pause=0.01) as (jobs, answers):
            started = [await jobs.start(f"owner {number}", wide_scene, SEARCH) for number in range(5)]
            engine = answers.chat.engine
            waits = []
            for number in range(4):
                await until(lambda: engine.running)
                before = len(engine.requests)
                async with answers.queue.slot(f"analyst {number}"):
                    waits.append(len(engine.requests) - before)
            for job in started:
                jobs.cancel(job.owner, job.id)
            return waits, engine.most_running

    waits, most = run(scenario())
    assert max(waits) <= 1
    assert most == 1


def test_searches_take_a_quarter_of_the_slots(storage, wide_scene):
    async def scenario():
        async with job_service(storage, slots=4, pause=0.002) as (jobs, answers):
            started = [await jobs.start(f"owner {number}", wide_scene, SEARCH) for number in range(3)]
            await until(lambda: all(job.finished for job in started))
            return answers.chat.engine.most_running

    assert run(scenario()) == 1


def test_an_owner_may_have_so_many(storage, wide_scene):
    async def scenario():
        async with job_service(storage, pause=0.05) as (jobs, _):
            own = [await jobs.start("ada", wide_scene, SEARCH) for _ in range(jobs_module.MAX_UNFINISHED_PER_OWNER)]
            with pytest.raises(TooManyJobsError, match="not finished"):
                await jobs.start("ada", wide_scene, SEARCH)
            other = await jobs.start("grace", wide_scene, SEARCH)
            assert [job.state for job in own] == ["running", "running", "queued", "queued"]
            assert other.state == "running"
            jobs.cancel("ada", own[3].id)
            assert own[3].state == "cancelled"
            jobs.cancel("ada", own[0].id)
            await until(lambda: own[2].state == "running")

    run(scenario())


def test_a_client_may_have_so_many_however_many_pages_it_has(storage, wide_scene, monkeypatch):
    monkeypatch.setattr(jobs_module, "MAX_UNFINISHED_PER_CLIENT", 6)

    async def scenario():
        async with job_service(storage, pause=0.05) as (jobs, _):
            own = [await jobs.start(f"page {number}", wide_scene, SEARCH, client="ada") for number in range(6)]
            with pytest.raises(TooManyJobsError, match="not finished"):
                await jobs.start("page 7", wide_scene, SEARCH, client="ada")
            other = await jobs.start("page 8", wide_scene, SEARCH, client="grace")
            return [job.state for job in own].count("running"), other.state

    assert run(scenario()) == (jobs_module.MAX_RUNNING_PER_CLIENT, "running")


def test_expired_jobs_make_room_for_uploads(storage, wide_scene, monkeypatch):
    """A client that cannot upload starts no job, so uploads, too, remove expired ones."""

    async def scenario():
        async with job_service(storage, pause=0) as (jobs, _):
            job = await jobs.start("ada", wide_scene, SEARCH)
            await until(lambda: not jobs.running)
            storage.max_bytes = storage.size()
            with pytest.raises(StorageFullError):
                storage.store("a.png", b"abc", "grace")
            monkeypatch.setattr(jobs_module, "KEPT_S", -1)
            storage.store("a.png", b"abc", "grace")
            return job.folder.exists()

    assert run(scenario()) is False


def test_the_oldest_finished_jobs_make_room(storage, wide_scene, monkeypatch):
    monkeypatch.setattr(jobs_module, "MAX_KEPT_PER_OWNER", 2)

    async def scenario():
        async with job_service(storage, pause=0) as (jobs, _):
            folders = []
            for _ in range(3):
                job = await jobs.start("ada", wide_scene, SEARCH)
                folders.append(job.folder)
                await until(lambda: not jobs.running)
            kept = [folder.exists() for folder in folders]
            jobs.remove_all("ada")
            return kept, [folder.exists() for folder in folders]

    assert run(scenario()) == ([False, True, True], [False] * 3)
