"""Archives: the same search or survey over any number of scenes, in one folder, by processes and by Ray workers.

`list_scenes` makes a manifest of whatever names scenes. `run_here` looks through them in this process, and `run_on_ray`
on a Ray cluster; both record into one folder (`folder`), and each may go on where the other was.
"""

from geochat.archive.folder import Archive, ArchiveFolder, Manifest
from geochat.archive.running import finish, run_here
from geochat.archive.scenes import SceneList, SceneRef, list_scenes
from geochat.archive.status import Status, job_status
from geochat.archive.work import Absent, SceneWork
from geochat.archive.writing import SceneWriter

__all__ = [
    "Absent",
    "Archive",
    "ArchiveFolder",
    "Manifest",
    "SceneList",
    "SceneRef",
    "SceneWork",
    "SceneWriter",
    "Status",
    "finish",
    "job_status",
    "list_scenes",
    "run_here",
]
