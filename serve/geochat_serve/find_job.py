"""A search of a whole scene in the background: `geochat.find` in a thread, window by window, cancelled and resumed.

What was computed is in the job's folder, so a job that was cancelled or failed resumes where it was.
"""

import logging
import mimetypes
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from geochat.engines import Engine
from geochat.errors import ExportError, GeoChatError, SettingsError
from geochat.exports import EXPORTERS
from geochat.find import Finding, FindOptions, FoundObject, Progress
from geochat.find.windows import OVERLAP
from geochat.imagery import Scene
from geochat_serve.exports import ExportedFile
from geochat_serve.open_scene import OpenScene
from geochat_serve.turns import JobStoppedError, TurnTaking

if TYPE_CHECKING:
    import shapely

State = Literal["queued", "running", "done", "failed", "cancelled"]

MAX_PHRASES = 20
MAX_OBJECTS = 100_000
_MAX_PHRASE = 200  # characters
_MAX_SCALES = 4
_MAX_SCALE = 1000.0
_MAX_WINDOWS = 200_000
_MAX_JOURNAL_BYTES = 2**28
_SNAPSHOT_S = 1.0  # least interval of reading the objects that windows to come may still change
_SNAPSHOT_SHARE = 20  # and at most one part in so many of the time is spent on it

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FindSpec:
    """Phrases and windows of a search; the options are those of `geochat.find.FindOptions`.

    Attributes:
        phrases: What to find.
        window: Side of a window in pixels of the scene; None takes the ground resolution that the model knows.
        overlap: Of windows, in pixels, or below 1 as a share of their side.
        scales: Factors of the window's side.
        whole: Whether the whole image is looked at once, too.
        area: What alone is looked at, in pixels of the scene; None looks at all of it.
        min_score: Objects of a lower score are left out.
        limit: How many objects are enough.

    Raises:
        SettingsError: There are too many phrases or scales, or one of them is impossible.
    """

    phrases: tuple[str, ...]
    window: int | None = None
    overlap: float = OVERLAP
    scales: tuple[float, ...] = (1.0,)
    whole: bool = False
    area: "shapely.Geometry | None" = None
    min_score: float | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        if len(self.phrases) > MAX_PHRASES:
            raise SettingsError(f"{len(self.phrases)} things to find are too many; give up to {MAX_PHRASES}")
        if longest := max((phrase for phrase in self.phrases if len(phrase) > _MAX_PHRASE), key=len, default=""):
            raise SettingsError(f"a phrase has {len(longest):,} characters; shorten it to {_MAX_PHRASE}")
        if len(self.scales) > _MAX_SCALES:
            raise SettingsError(f"{len(self.scales)} scales are too many; give up to {_MAX_SCALES}")
        if bad := [scale for scale in self.scales if not 0 < scale <= _MAX_SCALE]:
            raise SettingsError(f"the scale {bad[0]} is impossible; give a factor of the window up to {_MAX_SCALE:.0f}")

    def options(self) -> FindOptions:
        """Return the options of the search."""
        return FindOptions(
            window=self.window,
            overlap=self.overlap,
            scales=self.scales,
            whole=self.whole,
            area=self.area,
            min_score=self.min_score,
            limit=MAX_OBJECTS if self.limit is None else min(self.limit, MAX_OBJECTS),
        )


@dataclass(eq=False)
class Job:
    """A search of a scene. Its attributes may be read from any thread.

    Attributes:
        id: Secret that names it.
        owner: Session or caller that started it.
        client: Login or address of the owner.
        spec: What is searched for.
        scene: The scene as it was shown when the job was started; its file is the job's own.
        folder: Files of the job.
        state: queued, running, done, failed or cancelled.
        progress: Windows looked through, of how many.
        objects: Objects found that no window to come can change, from the top of the scene down; only grows in a run.
        provisional: Objects that windows to come may still change.
        runs: How often it was started; `objects` begins anew with each run.
        error: Why it failed.
        active_at: Time at which it ended, or its owner last asked for it.
    """

    owner: str
    client: str
    spec: FindSpec
    scene: OpenScene
    folder: Path
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    state: State = "queued"
    progress: Progress = field(default_factory=lambda: Progress(0, 0, 0, 0))
    objects: list[FoundObject] = field(default_factory=list)
    provisional: tuple[FoundObject, ...] = ()
    runs: int = 0
    error: str | None = None
    active_at: float = field(default_factory=time.monotonic)
    stopped: threading.Event = field(default_factory=threading.Event)
    _finding: Finding | None = None
    _turns: TurnTaking | None = None
    _snapshot_at: float = 0.0

    @property
    def finished(self) -> bool:
        """Return whether nothing of it is waiting or being computed."""
        return self.state in ("done", "failed", "cancelled")

    @property
    def resumable(self) -> bool:
        """Return whether `Jobs.resume` has something to do: it was broken off, or windows failed."""
        return self.state in ("failed", "cancelled") or (self.state == "done" and self.progress.failed > 0)

    def prepare(self, engine: Engine, turn: Callable[[], AbstractContextManager[None]]) -> None:
        """Lay the windows, and read what was computed before.

        Args:
            engine: What answers.
            turn: Waits until a window may be computed, and holds that turn.

        Raises:
            GeoChatError: As `geochat.find.Finding`, or there are too many windows.
        """
        shown = self.scene.overview
        size = len({phrase.strip() for phrase in self.spec.phrases} - {""})
        self._turns = TurnTaking(engine, max(1, size), turn, self.stopped)
        options: FindOptions = {
            **self.spec.options(),
            "bands": shown.bands,
            "stretch": shown.stretch,
            "job": self.folder / "job",
            "retry": self.runs > 0,
            "on_progress": self._advanced,
        }
        self._finding = Finding(self._turns, self.scene.scene, self.spec.phrases, **options)
        if (count := self._finding.look.plan.count) > _MAX_WINDOWS:
            raise SettingsError(f"{count:,} windows are too many; make them larger, or draw an area")
        self.progress, self.error = self._finding.progress, None
        self.runs += 1

    def compute(self) -> None:
        """Search; returns when the search has ended, in whichever way."""
        finding = cast(Finding, self._finding)
        state: State = "failed"
        self.objects, self.provisional = [], ()
        try:
            for found in finding:
                self.objects.append(found)
            state = "done" if finding.complete else "failed"
        except JobStoppedError:
            state = "cancelled"
        except GeoChatError as error:
            self.error = str(error)
        except Exception:  # whatever the engine raises, the server must go on
            log.exception("a job failed")
            self.error = "the model failed on this scene; resume the search, or look at the server's log"
        if state == "done":
            self.provisional = ()
        else:
            self._take_snapshot()
        self.progress = finding.progress
        self.active_at = time.monotonic()
        self.state = state

    def stop(self) -> None:
        """Stop the search before its next token. Idempotent."""
        self.stopped.set()
        if self._turns is not None:
            self._turns.cancel_current()

    def layer(self, format: str) -> ExportedFile:
        """Return the objects recorded so far as a file, a ZIP where a format has several; the search may go on.

        Args:
            format: A name of `geochat.exports.EXPORTERS`.

        Raises:
            SettingsError: There is no such format.
            ExportError: The format cannot hold the layer.
        """
        suffix = next(iter(EXPORTERS[format].suffixes), "")
        stem = f"{Path(self.scene.name).stem or 'image'}-found"
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        try:
            written = cast(Finding, self._finding).save(folder / f"{stem}{suffix}", format)
            if written.is_file() and len(list(folder.iterdir())) == 1:
                return ExportedFile(written.name, _media_type(written), written.read_bytes())
            packed = Path(shutil.make_archive(str(self.folder / folder.name), "zip", folder))
            content = packed.read_bytes()
            packed.unlink()
            return ExportedFile(f"{stem}.zip", "application/zip", content)
        except ExportError as error:
            raise ExportError(str(error).replace(f"{folder}/", "")) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def to_dict(self) -> dict[str, Any]:
        """Return state and progress, JSON-ready."""
        return {
            "id": self.id,
            "state": self.state,
            "phrases": list(self.spec.phrases),
            "image": self.scene.name,
            "windows": {name: getattr(self.progress, name) for name in ("done", "total", "failed")},
            "found": len(self.objects) + len(self.provisional),
            "left_out": 0 if self._finding is None else self._finding.improbable,
            "run": self.runs,
            "resumable": self.resumable,
            "error": self.error,
        }

    def _advanced(self, progress: Progress) -> None:
        """Note the progress after a window.

        Raises:
            JobStoppedError: The job was stopped.
            SettingsError: Its folder has become too large.
        """
        self.progress = progress
        if self.stopped.is_set():
            raise JobStoppedError
        if sum(path.stat().st_size for path in (self.folder / "job" / "journal").glob("*.jsonl")) > _MAX_JOURNAL_BYTES:
            raise SettingsError("the search has found more than its space on the server holds; draw a smaller area")
        if time.monotonic() >= self._snapshot_at:
            self._take_snapshot()

    def _take_snapshot(self) -> None:
        """Read the objects in the windows of unfinished rows."""
        began = time.monotonic()
        objects = cast(Finding, self._finding).objects()
        self.provisional = tuple(found for number, found in enumerate(objects) if number >= len(self.objects))
        now = time.monotonic()
        self._snapshot_at = now + max(_SNAPSHOT_S, _SNAPSHOT_SHARE * (now - began))


def open_copy(scene: OpenScene, folder: Path) -> OpenScene:
    """Return the same rendering of a scene, with a file of its own.

    Args:
        scene: The scene.
        folder: Holds a link of the file as `image`, where the file is the scene's own.

    Raises:
        ImageError: It cannot be opened any more.
    """
    own = folder / "image"
    path = own if own.exists() else scene.path
    opened = Scene.open(cast(Path, path), name=scene.name, page=scene.page)
    return OpenScene(
        scene.name, opened, scene.overview, owned=False, page=scene.page, id=scene.id, image_id=scene.image_id
    )


def _media_type(path: Path) -> str:
    known = {".gpkg": "application/geopackage+sqlite3", ".geojson": "application/geo+json"}
    return known.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
