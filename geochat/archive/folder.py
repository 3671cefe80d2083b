"""The folder of an archive's job: one manifest, one journal of scenes, and a job of windows for each scene.

manifest.jsonl      the scenes in their order, one a line; its line is a scene's number
duplicates.jsonl    names that were left out, with the scene that each repeats
job.json journal/ claims/   the job whose units are scenes (`geochat.find.job`)
scenes/ID/          the job of a scene's windows, the same as a search of that scene alone
dataset/scene=ID/   its rows: one GeoParquet dataset in EPSG:4326, partitioned by scene
layers/ID.*         the same in the scene's own CRS, where a format was asked for
not_looked_at/ID.geojson    windows of which something is not known
stac/ thumbnails/ report.html status workers/
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from geochat.archive.scenes import Duplicate, SceneRef
from geochat.archive.work import SceneWork
from geochat.errors import DataError, SettingsError
from geochat.files import atomic_draft
from geochat.find.job import Job
from geochat.journal import Entry, Recorded
from geochat.models import ModelInfo

_SLUG = 60  # characters of a scene's name in its id


class Manifest:
    """The scenes of an archive: the units of its job.

    Args:
        scenes: In their order.
        duplicates: Scenes left out; they do not matter to the job.
    """

    def __init__(self, scenes: Sequence[SceneRef], duplicates: Sequence[Duplicate] = ()) -> None:
        self.scenes, self.duplicates = tuple(scenes), tuple(duplicates)

    def __len__(self) -> int:
        return len(self.scenes)

    @property
    def count(self) -> int:
        """Number of scenes."""
        return len(self.scenes)

    def numbers(self) -> Iterator[int]:
        """Numbers of the scenes."""
        return iter(range(len(self.scenes)))

    def id(self, number: int) -> str:
        """Name of a scene's files; ids sort in the order of the scenes."""
        slug = re.sub(r"[^A-Za-z0-9._-]+", "-", self.scenes[number].name)[:_SLUG].strip("-.")
        return f"{number:06d}-{slug or 'scene'}"

    @property
    def sha256(self) -> str:
        """Hex digest of the scenes and their order."""
        return hashlib.sha256(self._text.encode("utf-8", "replace")).hexdigest()

    @property
    def _text(self) -> str:
        return "".join(f"{json.dumps(scene.to_dict(), ensure_ascii=False)}\n" for scene in self.scenes)

    def write(self, path: Path) -> None:
        """Write the scenes, one per line."""
        with atomic_draft(path) as draft:
            draft.write_bytes(self._text.encode("utf-8", "replace"))

    def write_duplicates(self, path: Path) -> None:
        """Write the scenes left out, one per line; no file where there are none."""
        lines = [json.dumps(each._asdict(), ensure_ascii=False) + "\n" for each in self.duplicates]
        if lines:
            with atomic_draft(path) as draft:
                draft.write_bytes("".join(lines).encode("utf-8", "replace"))
        else:
            path.unlink(missing_ok=True)

    def is_in(self, path: Path) -> bool:
        """Return whether a file holds these scenes."""
        try:
            return path.read_bytes() == self._text.encode("utf-8", "replace")
        except FileNotFoundError:
            return False

    @classmethod
    def read(cls, path: Path) -> "Manifest":
        """Read the manifest from a file.

        Raises:
            DataError: There is none, or it is damaged.
        """
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
            return cls([SceneRef(**json.loads(line)) for line in lines if line])
        except (OSError, ValueError, TypeError) as error:
            raise DataError(f"{path} is no manifest of an archive ({error}); name the --job folder of one") from error


class ArchiveFolder:
    """Paths of the files of an archive's job.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest = path / "manifest.jsonl"
        self.duplicates = path / "duplicates.jsonl"
        self.dataset = path / "dataset"
        self.stac = path / "stac"
        self.report = path / "report.html"
        self.status = path / "status"
        self.workers = path / "workers"

    def scene(self, name: str) -> Path:
        """The job of a scene's windows."""
        return self.path / "scenes" / name

    def part(self, name: str) -> Path:
        """Path of a scene's rows."""
        return self.dataset / f"scene={name}" / "part-0.parquet"

    def not_looked_at(self, name: str) -> Path:
        """Path of a scene's table of windows with missing or incomplete results."""
        return self.path / "not_looked_at" / f"{name}.geojson"

    def layer(self, name: str, suffix: str) -> Path:
        """Path of a scene's layer in its own CRS."""
        return self.path / "layers" / f"{name}{suffix}"

    def thumbnail(self, name: str) -> Path:
        """Path of a scene's thumbnail with its objects."""
        return self.path / "thumbnails" / f"{name}.jpg"

    def item(self, name: str) -> Path:
        """Path of a scene's STAC item."""
        return self.stac / "items" / f"{name}.json"


class Archive:
    """The scenes, the work on each of them, and the job in which scenes are claimed and recorded.

    Args:
        folder: Created where it is missing.
        manifest: The scenes.
        work: The work on each scene.
        info: The model.
        restart: Whether to delete the folder's contents.
        retry: Whether failed scenes and windows are tried again.

    Raises:
        SettingsError: The folder holds another job.
        DataError: It cannot be written, or is damaged.

    Attributes:
        folder: Its files.
        manifest: The scenes.
        work: The work on each scene.
        info: The model.
        job: Its units are the scenes.
        retry: As above.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        work: SceneWork,
        info: ModelInfo,
        *,
        restart: bool = False,
        retry: bool = False,
    ) -> None:
        self.folder, self.manifest, self.work, self.info, self.retry = (
            ArchiveFolder(folder),
            manifest,
            work,
            info,
            retry,
        )
        if not restart:
            _require_same(self.folder, manifest)
        asked = {
            "kind": "archive",
            "scenes": manifest.sha256,
            "work": work.to_dict(),
            "model": info.name,
            "model_sha256": info.sha256,
        }
        self.job = Job(folder, asked, manifest, restart=restart, retry=retry, usable=is_scene_entry, blocks=(1, 256))
        if restart:
            self._empty()
        if not manifest.is_in(self.folder.manifest):
            manifest.write(self.folder.manifest)
        manifest.write_duplicates(self.folder.duplicates)

    def record(self, number: int, entry: Entry) -> None:
        """Record the result of a scene.

        Raises:
            DataError: It cannot be written.
        """
        self.job.record(number, {"scene": self.manifest.id(number), **entry})

    def _empty(self) -> None:
        import shutil  # noqa: PLC0415

        for name in ("scenes", "dataset", "layers", "not_looked_at", "stac", "thumbnails", "workers"):
            shutil.rmtree(self.folder.path / name, ignore_errors=True)
        for path in (self.folder.manifest, self.folder.report, self.folder.status):
            path.unlink(missing_ok=True)


def _require_same(folder: ArchiveFolder, manifest: Manifest) -> None:
    """Require that a folder holds no job, or one of these scenes; `Job` requires the rest.

    Raises:
        SettingsError: It holds another, which the message tells from this one.
    """
    try:
        told = json.loads((folder.path / "job.json").read_text(encoding="utf-8"))
        kind, scenes = told["kind"], told.get("scenes")
    except (OSError, ValueError, LookupError, TypeError):  # none, or damaged
        return
    if kind != "archive":
        raise SettingsError(f"{folder.path} holds the job of one scene; choose another folder for many (--job)")
    if scenes != manifest.sha256:
        raise SettingsError(
            f"{folder.path} holds a job of other scenes: {_difference(folder, manifest)}; name the same scenes, choose "
            "another folder, or begin anew (--restart)"
        )


def _difference(folder: ArchiveFolder, here: Manifest) -> str:
    """The first scene in which the manifest of a folder and another one differ, in words."""
    try:
        there = Manifest.read(folder.manifest)
    except DataError:
        return "its manifest cannot be read"
    known, named = set(there.scenes), set(here.scenes)
    told = [f"{scene.source} is listed there and not here" for scene in there.scenes if scene not in named][:1]
    told += [f"{scene.source} is listed here and not there" for scene in here.scenes if scene not in known][:1]
    return ", ".join(told) or "the same in another order"


def is_scene_entry(entry: Entry) -> bool:
    """Return whether a journal entry records the result of a scene."""
    return isinstance(entry.get("windows"), int) or "error" in entry or "skipped" in entry


def recorded_scenes(folder: ArchiveFolder) -> tuple[Manifest, Recorded]:
    """Read the scenes of a job and their records, without changing anything.

    Raises:
        DataError: The folder is no archive's.
    """
    manifest = Manifest.read(folder.manifest)
    return manifest, Recorded(folder.path / "journal", len(manifest), is_scene_entry)


def job_of(folder: ArchiveFolder) -> dict[str, Any]:
    """Return the work and the model of a job.

    Raises:
        DataError: The folder is no archive's.
    """
    try:
        value: dict[str, Any] = json.loads((folder.path / "job.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{folder.path} is no archive's job ({error}); name the --job folder of one") from error
    return value


def made(path: Path) -> Path:
    """Return a path after creating its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
