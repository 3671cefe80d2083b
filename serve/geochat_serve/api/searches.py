"""Searches of whole scenes over HTTP: jobs that are started, watched, fetched and cancelled."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Any
from urllib.parse import quote

import shapely
from fastapi import FastAPI, Query, Request
from starlette.responses import JSONResponse, Response

from geochat.find.windows import OVERLAP
from geochat_serve.api.calls import Call, read_call
from geochat_serve.api.responses import EVENT_STREAM, ApiEvent, event_stream, request_body
from geochat_serve.api.schema import FindFields, JobBody
from geochat_serve.find_job import FindSpec, Job
from geochat_serve.jobs import Jobs
from geochat_serve.middleware.http import HTTP_API, scope_client
from geochat_serve.open_scene import OpenScene
from geochat_serve.storage import UploadStorage
from geochat_serve.validation import clean, read_bands, read_polygons

_JOB = f"{HTTP_API}/jobs/{{job_id}}"
_POLL_S = 0.25  # interval of looking for news of a job
_HEARTBEAT = 40  # intervals after which an event is sent without news, so that a client that left is noticed


def add_search_routes(api: FastAPI, jobs: Jobs, storage: UploadStorage, prefix: str) -> None:
    """Add the routes of searches.

    Args:
        api: The application.
        jobs: The jobs.
        storage: Holds images.
        prefix: Path under which a proxy serves the application.
    """

    def values(job: Job) -> dict[str, Any]:
        return {**job.to_dict(), "url": f"{prefix}{HTTP_API}/jobs/{job.id}"}

    @api.post(
        f"{HTTP_API}/find",
        operation_id="find",
        status_code=202,
        summary=FindFields.__doc__,
        description="Starts a job; poll its `url`, or follow its events.",
        responses={202: {"model": JobBody}},
        openapi_extra={"requestBody": request_body(FindFields)},
    )
    async def find(request: Request) -> Response:
        call = await read_call(request, FindFields, storage)
        try:
            job = await _start(jobs, call)
        finally:
            call.remove()
        started = values(job)
        return JSONResponse(started, 202, {"location": started["url"]})

    @api.get(_JOB, operation_id="job", response_model=JobBody, summary="State and progress of a job")
    async def state(request: Request, job_id: str) -> dict[str, Any]:
        return values(jobs.get(_owner(request), job_id))

    @api.get(
        f"{_JOB}/events",
        operation_id="events",
        summary="Progress of a job as a stream of events",
        description="The event progress whenever the job advances, and in the end done, failed or cancelled.",
        responses={200: {"content": {EVENT_STREAM: {}}}},
    )
    async def events(request: Request, job_id: str) -> Response:
        owner = _owner(request)
        jobs.get(owner, job_id)
        return event_stream(_news(lambda: values(jobs.get(owner, job_id))))

    @api.get(
        f"{_JOB}/result",
        operation_id="result",
        summary="The objects found so far, as a layer",
        description="Of an unfinished job, what it has found so far. A ZIP if the format has several files.",
        responses={200: {"content": {"application/octet-stream": {}}}},
    )
    async def result(
        request: Request, job_id: str, format: str = Query("geojson", description="one of the server's formats")
    ) -> Response:
        job = jobs.get(_owner(request), job_id)
        file = await asyncio.to_thread(partial(job.layer, clean(format)))
        disposition = f"attachment; filename*=UTF-8''{quote(file.name)}"
        return Response(file.content, media_type=file.media_type, headers={"content-disposition": disposition})

    @api.get(
        f"{_JOB}/objects",
        operation_id="objects",
        response_model=list[dict[str, Any]],
        summary="The objects found so far, as JSON",
    )
    async def objects(request: Request, job_id: str) -> Response:
        job = jobs.get(_owner(request), job_id)
        return await asyncio.to_thread(_objects, job)  # 100,000 take seconds

    @api.post(f"{_JOB}/resume", operation_id="resume", response_model=JobBody, summary="Resume a job that has ended")
    async def resume(request: Request, job_id: str) -> dict[str, Any]:
        return values(await jobs.resume(_owner(request), job_id))

    @api.delete(
        _JOB,
        operation_id="cancel",
        response_model=JobBody,
        summary="Cancel a job; of one that has ended, delete the result",
    )
    async def cancel(request: Request, job_id: str) -> dict[str, Any]:
        owner = _owner(request)
        job = jobs.get(owner, job_id)
        if job.finished:
            jobs.remove(owner, job_id)
        else:
            jobs.cancel(owner, job_id)
        return values(job)


def _objects(job: Job) -> Response:
    """Return the objects of a job as JSON."""
    return JSONResponse([found.to_dict() for found in [*job.objects, *job.provisional]])


def _owner(request: Request) -> str:
    """Return the owner of a caller's jobs."""
    return f"api {scope_client(request.scope)}"


async def _start(jobs: Jobs, call: Call[FindFields]) -> Job:
    """Start the search of a call.

    Raises:
        GeoChatError: The image, the area or an option cannot be used, or there are too many jobs.
    """
    fields = call.fields
    scene = await asyncio.to_thread(_open, call)
    try:
        spec = FindSpec(
            phrases=tuple(clean(phrase) for phrase in fields.phrases),
            window=fields.window,
            overlap=OVERLAP if fields.overlap is None else fields.overlap,
            scales=tuple(fields.scales),
            whole=fields.whole,
            area=_area(fields, scene),
            min_score=fields.min_score,
            limit=fields.limit,
        )
        return await jobs.start(f"api {call.client}", scene, spec, client=call.client)
    finally:
        await asyncio.to_thread(scene.close)


def _open(call: Call[FindFields]) -> OpenScene:
    fields = call.fields
    scene = OpenScene.open(call.path, call.name, page=fields.page)
    if (fields.bands, fields.stretch) == ("auto", "auto"):
        return scene
    bands = read_bands(fields.bands) if isinstance(fields.bands, str) else tuple(fields.bands)
    stretch: Any = fields.chosen_stretch()
    try:
        return scene.rendered(bands, stretch)
    except BaseException:
        scene.close()
        raise


def _area(fields: FindFields, scene: OpenScene) -> shapely.Geometry | None:
    """Return the area in pixels of the scene."""
    return None if fields.area is None else shapely.union_all(read_polygons(fields.area, scene.overview))


async def _news(values: Callable[[], dict[str, Any]]) -> AsyncGenerator[ApiEvent, None]:
    """Yield the state of a job whenever it changes, and at times without a change, until the job has ended."""
    told, silent = None, 0
    while True:
        now = values()
        ended = now["state"] in ("done", "failed", "cancelled")
        silent += 1
        if now != told or silent >= _HEARTBEAT:
            told, silent = now, 0
            yield now["state"] if ended else "progress", now
        if ended:
            return
        await asyncio.sleep(_POLL_S)
