"""Jobs of all owners: searches of whole scenes in the background, for the page and the HTTP API.

Each window waits for a background slot of the queue that questions wait in, so a question waits for one window at most.
Methods may be called from any thread unless stated otherwise.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial

from geochat.errors import GeoChatError
from geochat_serve.answering import AnswerService, ShuttingDownError
from geochat_serve.find_job import FindSpec, Job, open_copy
from geochat_serve.open_scene import OpenScene
from geochat_serve.queue import Ticket
from geochat_serve.storage import StorageFullError, UploadStorage
from geochat_serve.turns import JobStoppedError

__all__ = ["FindSpec", "Job", "JobNotFoundError", "Jobs", "TooManyJobsError"]

MAX_RUNNING = 8
MAX_RUNNING_PER_OWNER = 2
MAX_UNFINISHED_PER_OWNER = 4
MAX_RUNNING_PER_CLIENT = MAX_RUNNING // 2  # however many pages it has open
MAX_UNFINISHED_PER_CLIENT = 16
MAX_KEPT_PER_OWNER = 8
KEPT_S = 3600.0  # after a job's end, or its owner's last look at it
_POLL_S = 0.5  # a thread that waits for the queue notices within this time that its job was stopped

log = logging.getLogger(__name__)


class JobNotFoundError(GeoChatError):
    """There is no such job, or it is another owner's."""


class TooManyJobsError(GeoChatError):
    """An owner or a client has the most unfinished jobs that it may have."""


class Jobs:
    """The jobs of a server.

    Args:
        answers: Gives the model and the queue.
        storage: Holds the jobs' folders.
    """

    def __init__(self, answers: AnswerService, storage: UploadStorage) -> None:
        self._answers, self._storage = answers, storage
        self._jobs: dict[str, Job] = {}
        self._computing: set[Job] = set()
        self._lock = threading.RLock()
        self._threads = ThreadPoolExecutor(MAX_RUNNING, thread_name_prefix="geochat-job")
        self._closed = False
        storage.on_reserve = self._remove_expired

    async def start(self, owner: str, scene: OpenScene, spec: FindSpec, *, client: str | None = None) -> Job:
        """Start a search. Runs on the server's event loop.

        Args:
            owner: Session or caller; the only one who gets the job.
            scene: The scene, in the bands and the stretch to search in. It may be closed afterwards.
            spec: What is searched for.
            client: Login or address of the owner; None takes the owner.

        Raises:
            TooManyJobsError: The owner or the client has too many unfinished jobs.
            ShuttingDownError: The server is shutting down.
            StorageFullError: The server has no space for another job.
            GeoChatError: As `geochat.find.Finding`.
        """
        loop = asyncio.get_running_loop()
        self._remove_expired()
        self._require_room(owner, client or owner)
        return await asyncio.to_thread(self._add, loop, owner, scene, spec, client or owner)

    def get(self, owner: str, job_id: object) -> Job:
        """Return a job.

        Raises:
            JobNotFoundError: There is none, or it is another owner's.
        """
        with self._lock:
            job = self._jobs.get(job_id) if isinstance(job_id, str) else None
            if job is None or job.owner != owner:
                raise JobNotFoundError("there is no such search, or its results have expired; start it again")
            job.active_at = time.monotonic()
            return job

    def of(self, owner: str) -> list[Job]:
        """Return the jobs of an owner, oldest first."""
        with self._lock:
            return [job for job in self._jobs.values() if job.owner == owner]

    def cancel(self, owner: str, job_id: object) -> Job:
        """Stop a job before its next token; what it has found stays.

        Raises:
            JobNotFoundError: As `get`.
        """
        job = self.get(owner, job_id)
        with self._lock:
            if job.state == "queued" and job not in self._computing:
                job.state = "cancelled"
            else:
                job.stop()
        return job

    async def resume(self, owner: str, job_id: object) -> Job:
        """Go on with a job that was cancelled or failed, or ask again about windows that failed.

        Runs on the server's event loop. A job that is not `resumable` is returned as it is.

        Raises:
            JobNotFoundError: As `get`.
            TooManyJobsError: The owner or the client has too many unfinished jobs.
            ShuttingDownError: The server is shutting down.
            GeoChatError: As `geochat.find.Finding`.
        """
        job = self.get(owner, job_id)
        with self._lock:
            if not job.resumable or job in self._computing:
                return job
            self._require_room(owner, job.client)
            self._computing.add(job)  # so that it is neither dispatched nor deleted
            job.stopped.clear()
        loop = asyncio.get_running_loop()
        try:
            await asyncio.to_thread(job.prepare, self._answers.chat.engine, partial(self._turn, job, loop))
            job.state = "cancelled" if job.stopped.is_set() else "queued"
        finally:
            self._release(job)
        return job

    def remove(self, owner: str, job_id: object) -> None:
        """Stop a job and delete its folder.

        Raises:
            JobNotFoundError: As `get`.
        """
        self._remove(self.get(owner, job_id))

    def remove_all(self, owner: str) -> None:
        """Stop the jobs of an owner who has left, and delete their folders."""
        for job in self.of(owner):
            self._remove(job)

    def close(self) -> None:
        """Stop all jobs and wait for their threads; not to be called on the event loop. Idempotent."""
        with self._lock:
            self._closed = True
            for job in list(self._jobs.values()):
                self._remove(job)
        self._threads.shutdown()

    @property
    def running(self) -> int:
        """Number of jobs being computed."""
        return len(self._computing)

    def _add(self, loop: asyncio.AbstractEventLoop, owner: str, scene: OpenScene, spec: FindSpec, client: str) -> Job:
        if self._storage.size() >= self._storage.max_bytes:
            raise StorageFullError("the server has no space for another search; try again later")
        folder = self._storage.new_folder(scene.path if scene.owned else None)
        try:
            job = Job(owner, client, spec, open_copy(scene, folder), folder)
            try:
                job.prepare(self._answers.chat.engine, partial(self._turn, job, loop))
                with self._lock:
                    self._require_room(owner, client)
                    self._jobs[job.id] = job
            except BaseException:
                job.scene.close()
                raise
        except BaseException:
            self._storage.remove(folder)
            raise
        self._dispatch()
        return job

    def _require_room(self, owner: str, client: str) -> None:
        """Check that an owner may have another job; the owner's oldest finished jobs make room.

        Raises:
            TooManyJobsError: It may not.
            ShuttingDownError: The server is shutting down.
        """
        with self._lock:
            if self._closed:
                raise ShuttingDownError
            unfinished = sum(job.client == client and not job.finished for job in self._jobs.values())
            if unfinished >= MAX_UNFINISHED_PER_CLIENT:
                raise TooManyJobsError(f"{unfinished} searches from your login or address are not finished; wait")
            own = self.of(owner)
            if (count := sum(not job.finished for job in own)) >= MAX_UNFINISHED_PER_OWNER:
                raise TooManyJobsError(f"{count} of your searches are not finished; wait for one, or cancel it")
            for job in [job for job in own if job.finished][: max(0, len(own) - MAX_KEPT_PER_OWNER + 1)]:
                self._remove(job)

    def _dispatch(self) -> None:
        """Start queued jobs while there is room."""
        with self._lock:
            for job in self._jobs.values():
                own = sum(other.owner == job.owner for other in self._computing)
                of_client = sum(other.client == job.client for other in self._computing)
                if job.state != "queued" or job in self._computing or self._closed:
                    continue
                if of_client >= MAX_RUNNING_PER_CLIENT or own >= MAX_RUNNING_PER_OWNER:
                    continue
                if len(self._computing) < MAX_RUNNING:
                    job.state = "running"
                    self._computing.add(job)
                    self._threads.submit(self._compute, job)

    def _compute(self, job: Job) -> None:
        try:
            job.compute()
        finally:
            self._release(job)

    def _release(self, job: Job) -> None:
        with self._lock:
            self._computing.discard(job)
            if job.id not in self._jobs:  # removed in the meantime
                self._delete(job)
        self._dispatch()

    def _remove(self, job: Job) -> None:
        with self._lock:
            self._jobs.pop(job.id, None)
            job.stop()
            if job not in self._computing:
                self._delete(job)

    def _delete(self, job: Job) -> None:
        job.scene.close()
        self._storage.remove(job.folder)

    def _remove_expired(self) -> None:
        with self._lock:
            expired_at = time.monotonic() - KEPT_S
            for job in [job for job in self._jobs.values() if job.finished and job.active_at < expired_at]:
                self._remove(job)

    @contextmanager
    def _turn(self, job: Job, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Wait in the queue for a window's turn, and hold it; runs in the job's thread.

        Raises:
            JobStoppedError: The job was stopped.
        """
        joined: list[Ticket] = []
        has_left = False

        async def wait() -> None:
            if has_left:  # stopped before the loop came to it: nobody would give the place back
                return
            joined.append(self._answers.queue.join(job.id, job.client, background=True))
            async for _ in joined[0].positions():
                pass

        def leave() -> None:
            nonlocal has_left
            has_left = True
            for ticket in joined:
                ticket.leave()

        waiting = asyncio.run_coroutine_threadsafe(wait(), loop)
        try:
            while True:
                if job.stopped.is_set():
                    waiting.cancel()
                    raise JobStoppedError
                with suppress(TimeoutError):
                    waiting.result(_POLL_S)
                    break
            yield
        finally:
            with suppress(RuntimeError):  # the server has ended, and its loop
                loop.call_soon_threadsafe(leave)
