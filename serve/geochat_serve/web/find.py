"""Finding in the whole scene, for the page: searches started, watched, cancelled, resumed and exported."""

import asyncio
from dataclasses import dataclass
from typing import Any

import shapely
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from geochat.errors import GeoChatError, RegionError
from geochat.exports import EXPORTERS
from geochat.find import FoundObject
from geochat_serve.jobs import FindSpec, Job, Jobs
from geochat_serve.session import Session
from geochat_serve.sessions import SessionStore
from geochat_serve.validation import is_coordinate, read_question
from geochat_serve.web.routes import file_response, page_route, read_count, read_json

MAX_RINGS = 1000  # of an area
_MAX_RING_POINTS = 10_000
_PAGE = 5000  # objects of one response


@dataclass(frozen=True)
class FindHandlers:
    """Handlers of the find panel's requests."""

    jobs: Jobs
    sessions: SessionStore

    def routes(self) -> list[BaseRoute]:
        """Return their routes."""
        named = (
            ("/jobs", "POST", self.start),
            ("/jobs", "GET", self.list),
            ("/jobs/{job}", "GET", self.watch),
            ("/jobs/{job}/cancel", "POST", self.cancel),
            ("/jobs/{job}/resume", "POST", self.resume),
            ("/jobs/{job}/remove", "POST", self.remove),
            ("/jobs/{job}/layer", "GET", self.layer),
        )
        return [page_route(path, method, handler, self.sessions) for path, method, handler in named]

    async def start(self, request: Request, session: Session) -> dict[str, Any]:
        """Search the open scene, in the bands and the stretch it is shown in."""
        spec = read_spec(await read_json(request))
        job = await self.jobs.start(session.key, session.require_scene(), spec, client=session.client or None)
        return job_json(job)

    async def list(self, _request: Request, session: Session) -> list[dict[str, Any]]:
        """List the session's searches, oldest first."""
        return [job_json(job) for job in self.jobs.of(session.key)]

    async def watch(self, request: Request, session: Session) -> dict[str, Any]:
        """Tell a search's progress, and the objects after the first `since` of run `run`."""
        job = self.jobs.get(session.key, request.path_params["job"])
        query = request.query_params
        same_run = query.get("run") == str(job.runs)
        since = read_count(query.get("since", "0")) if same_run else 0
        told, provisional = job_json(job), job.provisional
        objects = job.objects[since : since + _PAGE]
        return {
            **told,
            "since": since,
            "objects": [object_json(found) for found in objects],
            "more": len(job.objects) > since + len(objects),
            "provisional": [object_json(found) for found in provisional[:_PAGE]],
        }

    async def cancel(self, request: Request, session: Session) -> dict[str, Any]:
        """Cancel a search; what it has found stays."""
        return job_json(self.jobs.cancel(session.key, request.path_params["job"]))

    async def resume(self, request: Request, session: Session) -> dict[str, Any]:
        """Go on with a search."""
        return job_json(await self.jobs.resume(session.key, request.path_params["job"]))

    async def remove(self, request: Request, session: Session) -> dict[str, Any]:
        """Cancel a search and remove what it has found."""
        self.jobs.remove(session.key, request.path_params["job"])
        return {}

    async def layer(self, request: Request, session: Session) -> Response:
        """Return what a search has found as a file."""
        job = self.jobs.get(session.key, request.path_params["job"])
        file = await asyncio.to_thread(job.layer, request.query_params.get("format", "geojson"))
        return file_response(file.name, file.media_type, file.content)


def formats() -> list[dict[str, str]]:
    """Return name and title of each format of `EXPORTERS`."""
    titles = {"geojson": "GeoJSON", "geopackage": "GeoPackage", "flatgeobuf": "FlatGeobuf", "geoparquet": "GeoParquet"}
    titles |= {"coco": "COCO", "dota": "DOTA", "yolo-obb": "YOLO-OBB", "overlay": "Annotated PNG"}
    first = ("geojson", "geopackage")
    names = [*first, *(name for name in EXPORTERS if name not in first)]
    return [{"name": name, "title": titles.get(name, name)} for name in names]


def read_spec(values: dict[str, Any]) -> FindSpec:
    """Return what a page or a program asks to find.

    Args:
        values: `phrases`, one a line or a list; optionally `window`, `scales`, `whole`, `min_score`, and `area`, a
            list of rings [[x, y], ...] in pixels of the scene.

    Raises:
        GeoChatError: A value is malformed.
    """
    phrases = values.get("phrases")
    if isinstance(phrases, str):
        phrases = read_question(phrases).replace(",", "\n").split("\n")
    if not isinstance(phrases, list) or not all(isinstance(phrase, str) for phrase in phrases):
        raise GeoChatError("phrases must be words, one thing to find a line")
    scales = values.get("scales") or [1]
    if not isinstance(scales, list) or not all(is_coordinate(scale) for scale in scales):
        raise GeoChatError(f"scales {str(scales)[:40]} are not numbers; give factors of the window, such as 1, 2")
    window, least = values.get("window"), values.get("min_score")
    for name, value in (("window", window), ("min_score", least)):
        if value is not None and not is_coordinate(value):
            raise GeoChatError(f"{name} {str(value)[:40]!r} is not a number; leave it empty for the default")
    return FindSpec(
        tuple(phrase for phrase in map(str.strip, phrases) if phrase),
        window=None if window is None else round(window),
        scales=tuple(float(scale) for scale in scales),
        whole=values.get("whole") is True,
        area=_area(values.get("area")),
        min_score=None if least is None else float(least),
    )


def job_json(job: Job) -> dict[str, Any]:
    """Return a search for the page, without its objects."""
    area = job.spec.area
    return {**job.to_dict(), "image_id": job.scene.image_id, "limited": area is not None}


def object_json(found: FoundObject) -> dict[str, Any]:
    """Return an object for the page: corners in pixels of the scene, measures in metres where it has a place."""
    return {
        "phrase": found.phrase,
        "score": found.score,
        "points": [[round(x, 1), round(y, 1)] for x, y in found.box.corners()],
        "area": found.area,
        "length": found.length,
        "width": found.width,
    }


def _area(rings: Any) -> shapely.Geometry | None:  # noqa: ANN401 - decoded JSON
    """Return the union of rings; None if there are none.

    Raises:
        RegionError: They are malformed.
    """
    if not rings:
        return None
    if not isinstance(rings, list) or len(rings) > MAX_RINGS:
        raise RegionError(f"an area must be a list of up to {MAX_RINGS} polygons")
    for ring in rings:
        points = ring if isinstance(ring, list) else []
        fine = all(isinstance(point, list) and len(point) == 2 and all(map(is_coordinate, point)) for point in points)
        if not fine or not 3 <= len(points) <= _MAX_RING_POINTS:
            raise RegionError(f"a polygon of the area must be 3 to {_MAX_RING_POINTS:,} points [x, y]")
    return shapely.union_all([shapely.make_valid(shapely.Polygon(ring)) for ring in rings])
