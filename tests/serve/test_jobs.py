"""Searches of whole scenes in the background: fair to questions, bounded, cancelled and resumed."""

import asyncio
import io
import json
import time
import zipfile
from contextlib import asynccontextmanager

import pytest
import shapely
from serve_scripted import ScriptedEngine
from serve_wire import run

from geochat import GeoChat
from geochat.errors import PromptError, RegionError, SettingsError
from geochat.exports import EXPORTERS
from geochat_serve import jobs as jobs_module
from geochat_serve.answering import AnswerService, ShuttingDownError
from geochat_serve.jobs import FindSpec, JobNotFoundError, Jobs, TooManyJobsError
from geochat_serve.open_scene import OpenScene
from geochat_serve.queue import FairQueue
from geochat_serve.storage import StorageFullError

SPEC = FindSpec(("it",), window=200, overlap=0.0)  # six windows of wide.png, a box in each


@asynccontextmanager
async def service(storage, slots=2, **engine):
    """The jobs of a server with a scripted engine of its own."""
    answers = AnswerService(GeoChat(ScriptedEngine(**engine)), FairQueue(slots, 8))
    jobs = Jobs(answers, storage)
    try:
        yield jobs, answers
    finally:
        await asyncio.to_thread(jobs.close)
        answers.close()


async def until(condition):
    while not condition():
        await asyncio.sleep(0.01)


@pytest.fixture
def scene(pictures):
    with OpenScene.open(pictures / "wide.png", "wide.png", owned=False) as opened:
        yield opened


def test_a_search_gives_progress_objects_and_a_layer_in_every_format(storage, scene):
    async def scenario():
        async with service(storage) as (jobs, _):
            job = await jobs.start("ada", scene, SPEC)
            assert jobs.get("ada", job.id) is job
            await until(lambda: job.finished)
            files = {name: job.layer(name) for name in EXPORTERS}
            return job.to_dict(), list(job.objects), files

    told, objects, files = run(scenario())
    assert (told["state"], told["found"], told["error"], told["resumable"]) == ("done", 6, None, False)
    assert told["windows"] == {"done": 6, "total": 6, "failed": 0}
    assert {found.phrase for found in objects} == {"it"}
    assert objects[0].box.center == pytest.approx((100, 75))
    collection = json.loads(files["geojson"].content)
    assert len(collection["features"]) == 6
    assert files["geojson"].name == "wide-found.geojson"
    assert zipfile.is_zipfile(io.BytesIO(files["yolo-obb"].content))
    assert all(str(storage.uploads.parent).encode() not in file.content for file in files.values())


def test_a_job_keeps_its_image_when_the_page_opens_another(storage, pictures):
    claimed = storage.new_folder() / "upload"
    claimed.write_bytes((pictures / "wide.png").read_bytes())

    async def scenario():
        async with service(storage) as (jobs, _):
            with OpenScene.open(claimed, "wide.png") as opened:
                job = await jobs.start("ada", opened, SPEC)
            claimed.unlink()
            await until(lambda: job.finished)
            folder = job.folder
            assert job.state == "done"
            jobs.remove("ada", job.id)
            return folder

    assert not run(scenario()).exists()


def test_another_owner_and_a_restarted_server_have_no_such_job(storage, scene):
    async def scenario():
        async with service(storage) as (jobs, _):
            job = await jobs.start("ada", scene, SPEC)
            for owner, name in (("grace", job.id), ("ada", "guess"), ("ada", None), ("ada", ["x"])):
                for action in (jobs.get, jobs.cancel, jobs.remove):
                    with pytest.raises(JobNotFoundError, match="start it again"):
                        action(owner, name)
            assert jobs.of("grace") == []
        async with service(storage) as (jobs, _):
            with pytest.raises(JobNotFoundError):
                jobs.get("ada", job.id)

    run(scenario())


def test_a_cancelled_job_keeps_what_it_found_and_resumes_where_it_was(storage, scene):
    async def scenario():
        async with service(storage, pause=0.05) as (jobs, answers):
            engine = answers.chat.engine
            job = await jobs.start("ada", scene, SPEC)
            await until(lambda: job.progress.done >= 2)
            jobs.cancel("ada", job.id)
            await until(lambda: job.finished)
            kept = job.progress.done
            assert (job.state, job.resumable, kept < 6) == ("cancelled", True, True)
            assert len(job.objects) + len(job.provisional) == kept
            assert len(json.loads(job.layer("geojson").content)["features"]) == kept
            engine.pause, before = 0, len(engine.requests)
            assert await jobs.resume("ada", job.id) is job
            await until(lambda: job.finished)
            assert len(engine.requests) - before == 6 - kept
            return job

    job = run(scenario())
    assert (job.state, len(job.objects), job.provisional, job.runs) == ("done", 6, (), 2)


def test_a_question_waits_for_one_window_at_most(storage, scene):
    """With one slot, five searches of several owners compute one window before a question that was asked meanwhile."""

    async def scenario():
        async with service(storage, slots=1, pause=0.01) as (jobs, answers):
            started = [await jobs.start(f"owner {number}", scene, SPEC) for number in range(5)]
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


def test_searches_take_a_quarter_of_the_slots(storage, scene):
    async def scenario():
        async with service(storage, slots=4, pause=0.002) as (jobs, answers):
            started = [await jobs.start(f"owner {number}", scene, SPEC) for number in range(3)]
            await until(lambda: all(job.finished for job in started))
            return answers.chat.engine.most_running

    assert run(scenario()) == 1


def test_an_owner_may_have_so_many(storage, scene):
    async def scenario():
        async with service(storage, pause=0.05) as (jobs, _):
            own = [await jobs.start("ada", scene, SPEC) for _ in range(jobs_module.MAX_UNFINISHED_PER_OWNER)]
            with pytest.raises(TooManyJobsError, match="not finished"):
                await jobs.start("ada", scene, SPEC)
            other = await jobs.start("grace", scene, SPEC)
            assert [job.state for job in own] == ["running", "running", "queued", "queued"]
            assert other.state == "running"
            jobs.cancel("ada", own[3].id)
            assert own[3].state == "cancelled"
            jobs.cancel("ada", own[0].id)
            await until(lambda: own[2].state == "running")

    run(scenario())


def test_a_client_may_have_so_many_however_many_pages_it_has(storage, scene, monkeypatch):
    monkeypatch.setattr(jobs_module, "MAX_UNFINISHED_PER_CLIENT", 6)

    async def scenario():
        async with service(storage, pause=0.05) as (jobs, _):
            own = [await jobs.start(f"page {number}", scene, SPEC, client="ada") for number in range(6)]
            with pytest.raises(TooManyJobsError, match="not finished"):
                await jobs.start("page 7", scene, SPEC, client="ada")
            other = await jobs.start("page 8", scene, SPEC, client="grace")
            return [job.state for job in own].count("running"), other.state

    assert run(scenario()) == (jobs_module.MAX_RUNNING_PER_CLIENT, "running")


def test_expired_jobs_make_room_for_uploads(storage, scene, monkeypatch):
    """A client that cannot upload starts no job, so uploads, too, remove expired ones."""

    async def scenario():
        async with service(storage, pause=0) as (jobs, _):
            job = await jobs.start("ada", scene, SPEC)
            await until(lambda: not jobs.running)
            storage.max_bytes = storage.size()
            with pytest.raises(StorageFullError):
                storage.store("a.png", b"abc", "grace")
            monkeypatch.setattr(jobs_module, "KEPT_S", -1)
            storage.store("a.png", b"abc", "grace")
            return job.folder.exists()

    assert run(scenario()) is False


def test_the_oldest_finished_jobs_make_room(storage, scene, monkeypatch):
    monkeypatch.setattr(jobs_module, "MAX_KEPT_PER_OWNER", 2)

    async def scenario():
        async with service(storage, pause=0) as (jobs, _):
            folders = []
            for _ in range(3):
                job = await jobs.start("ada", scene, SPEC)
                folders.append(job.folder)
                await until(lambda: not jobs.running)
            kept = [folder.exists() for folder in folders]
            jobs.remove_all("ada")
            return kept, [folder.exists() for folder in folders]

    assert run(scenario()) == ([False, True, True], [False] * 3)


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"phrases": ()}, PromptError),
        ({"phrases": (" ",)}, PromptError),
        ({"phrases": ("ship",) * 21}, SettingsError),
        ({"phrases": ("s" * 201,)}, SettingsError),
        ({"phrases": ("it",), "window": 3}, SettingsError),
        ({"phrases": ("it",), "overlap": 2000.0}, SettingsError),
        ({"phrases": ("it",), "scales": (1, 2, 3, 4, 5)}, SettingsError),
        ({"phrases": ("it",), "scales": (0.0,)}, SettingsError),
        ({"phrases": ("it",), "scales": (1e308,)}, SettingsError),
        ({"phrases": ("it",), "limit": 0}, SettingsError),
    ],
)
def test_an_impossible_search_is_refused_and_leaves_nothing(storage, scene, values, error):
    async def scenario():
        async with service(storage) as (jobs, _):
            before = sorted(storage.uploads.parent.rglob("*"))
            with pytest.raises(error):
                await jobs.start("ada", scene, FindSpec(**values))
            return jobs.of("ada"), before == sorted(storage.uploads.parent.rglob("*"))

    assert run(scenario()) == ([], True)


def test_an_area_off_the_scene_is_refused(storage, scene):
    async def scenario():
        async with service(storage) as (jobs, _):
            job = await jobs.start("ada", scene, FindSpec(("it",), 200, 0.0, area=shapely.box(0, 0, 90, 90)))
            await until(lambda: job.finished)
            with pytest.raises(RegionError, match="no ground in common"):
                await jobs.start("ada", scene, FindSpec(("it",), area=shapely.box(900, 0, 950, 50)))
            return job.progress.total

    assert run(scenario()) == 1


def test_a_model_that_fails_fails_the_job_and_not_the_server(storage, scene):
    async def scenario():
        async with service(storage) as (jobs, _):
            job = await jobs.start("ada", scene, FindSpec(("explode",), 200, 0.0))
            await until(lambda: job.finished)
            return job.to_dict()

    told = run(scenario())
    assert (told["state"], told["resumable"]) == ("failed", True)
    assert "secret" not in told["error"]


def test_windows_that_fail_are_told_and_asked_about_again(storage, scene):
    async def scenario():
        async with service(storage) as (jobs, _):
            job = await jobs.start("ada", scene, FindSpec(("too long",), 200, 0.0))
            await until(lambda: job.finished)
            first = job.progress.failed, job.resumable
            await jobs.resume("ada", job.id)
            await until(lambda: job.finished)
            return first, job.progress.failed, job.runs

    assert run(scenario()) == ((6, True), 6, 2)


def test_closing_ends_running_jobs_at_once(storage, scene):
    async def scenario():
        async with service(storage) as (jobs, _):
            job = await jobs.start("ada", scene, FindSpec(("slow",), 200, 0.0))
            await until(lambda: job.state == "running")
            began = time.monotonic()
            await asyncio.to_thread(jobs.close)
            with pytest.raises(ShuttingDownError, match="shutting down"):
                await jobs.start("ada", scene, SPEC)
            return job.state, time.monotonic() - began, job.folder.exists()

    state, seconds, exists = run(scenario())
    assert (state, exists) == ("cancelled", False)
    assert seconds < 20
