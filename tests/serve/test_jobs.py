"""Searches of whole scenes in the background: followed, cancelled, resumed and refused."""

import asyncio
import io
import json
import time
import zipfile

import pytest
import shapely
from serve_scripted import SEARCH, job_service, until
from serve_wire import run

from geochat.errors import PromptError, RegionError, SettingsError
from geochat.exports import EXPORTERS
from geochat_serve.answering import ShuttingDownError
from geochat_serve.jobs import FindSpec, JobNotFoundError
from geochat_serve.open_scene import OpenScene


def test_a_search_gives_progress_objects_and_a_layer_in_every_format(storage, wide_scene):
    async def scenario():
        async with job_service(storage) as (jobs, _):
            job = await jobs.start("ada", wide_scene, SEARCH)
            assert jobs.get("ada", job.id) is job
            await until(lambda: job.finished)
            files = {name: job.layer(name) for name in EXPORTERS}
            return job.to_dict(), list(job.objects), files

    told, objects, files = run(scenario())
    assert (told["state"], told["found"], told["error"], told["resumable"]) == ("done", 6, None, False)
    assert told["left_out"] == 0
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
        async with job_service(storage) as (jobs, _):
            with OpenScene.open(claimed, "wide.png") as opened:
                job = await jobs.start("ada", opened, SEARCH)
            claimed.unlink()
            await until(lambda: job.finished)
            folder = job.folder
            assert job.state == "done"
            jobs.remove("ada", job.id)
            return folder

    assert not run(scenario()).exists()


def test_another_owner_and_a_restarted_server_have_no_such_job(storage, wide_scene):
    async def scenario():
        async with job_service(storage) as (jobs, _):
            job = await jobs.start("ada", wide_scene, SEARCH)
            for owner, name in (("grace", job.id), ("ada", "guess"), ("ada", None), ("ada", ["x"])):
                for action in (jobs.get, jobs.cancel, jobs.remove):
                    with pytest.raises(JobNotFoundError, match="start it again"):
                        action(owner, name)
            assert jobs.of("grace") == []
        async with job_service(storage) as (jobs, _):
            with pytest.raises(JobNotFoundError):
                jobs.get("ada", job.id)

    run(scenario())


def test_a_cancelled_job_keeps_what_it_found_and_resumes_where_it_was(storage, wide_scene):
    async def scenario():
        async with job_service(storage, pause=0.05) as (jobs, answers):
            engine = answers.chat.engine
            job = await jobs.start("ada", wide_scene, SEARCH)
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
def test_an_impossible_search_is_refused_and_leaves_nothing(storage, wide_scene, values, error):
    async def scenario():
        async with job_service(storage) as (jobs, _):
            before = sorted(storage.uploads.parent.rglob("*"))
            with pytest.raises(error):
                await jobs.start("ada", wide_scene, FindSpec(**values))
            return jobs.of("ada"), before == sorted(storage.uploads.parent.rglob("*"))

    assert run(scenario()) == ([], True)


def test_an_area_off_the_scene_is_refused(storage, wide_scene):
    async def scenario():
        async with job_service(storage) as (jobs, _):
            job = await jobs.start("ada", wide_scene, FindSpec(("it",), 200, 0.0, area=shapely.box(0, 0, 90, 90)))
            await until(lambda: job.finished)
            with pytest.raises(RegionError, match="no ground in common"):
                await jobs.start("ada", wide_scene, FindSpec(("it",), area=shapely.box(900, 0, 950, 50)))
            return job.progress.total

    assert run(scenario()) == 1


def test_a_model_that_fails_fails_the_job_and_not_the_server(storage, wide_scene):
    async def scenario():
        async with job_service(storage) as (jobs, _):
            job = await jobs.start("ada", wide_scene, FindSpec(("explode",), 200, 0.0))
            await until(lambda: job.finished)
            return job.to_dict()

    told = run(scenario())
    assert (told["state"], told["resumable"]) == ("failed", True)
    assert "secret" not in told["error"]


def test_windows_that_fail_are_told_and_asked_about_again(storage, wide_scene):
    async def scenario():
        async with job_service(storage) as (jobs, _):
            job = await jobs.start("ada", wide_scene, FindSpec(("too long",), 200, 0.0))
            await until(lambda: job.finished)
            first = job.progress.failed, job.resumable
            await jobs.resume("ada", job.id)
            await until(lambda: job.finished)
            return first, job.progress.failed, job.runs

    assert run(scenario()) == ((6, True), 6, 2)


def test_closing_ends_running_jobs_at_once(storage, wide_scene):
    async def scenario():
        async with job_service(storage) as (jobs, _):
            job = await jobs.start("ada", wide_scene, FindSpec(("slow",), 200, 0.0))
            await until(lambda: job.state == "running")
            began = time.monotonic()
            await asyncio.to_thread(jobs.close)
            with pytest.raises(ShuttingDownError, match="shutting down"):
                await jobs.start("ada", wide_scene, SEARCH)
            return job.state, time.monotonic() - began, job.folder.exists()

    state, seconds, exists = run(scenario())
    assert (state, exists) == ("cancelled", False)
    assert seconds < 20
