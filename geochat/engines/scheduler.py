"""The scheduler of the local engine: requests of all callers in one running batch, on one thread.

A batch is faster because it reads the weights once for all rows. Rows join it between two tokens and leave when they
end, so no request waits for another's answer (continuous batching; Yu et al., "Orca", OSDI 2022). Images of new
requests are read together, a few at a time, which bounds the pause of running answers; then their prompts are read in
groups of similar length, so that no row is padded to more than twice its length. Requests are admitted in order of
arrival while the limits allow. The limits are set by memory; a larger batch was never slower in measurements
(docs/benchmarks.md).

One thread computes for all callers, because each thread that calls OpenMP has its own thread pool, and pools that share
cores wait for each other.
"""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby

from torch import Tensor
from transformers import LlavaForConditionalGeneration

from geochat.engines.batch import Batch
from geochat.engines.choosing import Scorer
from geochat.engines.handle import Cancellations, Handle, is_last
from geochat.engines.prefix import PrefixCache
from geochat.engines.protocol import Chunk
from geochat.engines.reading import Reader
from geochat.engines.rows import Job, Row
from geochat.errors import GeoChatError, SettingsError

_IMAGES = 4  # read between two tokens


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """Limits of the local engine.

    Attributes:
        batch_rows: Answers computed together.
        batch_tokens: Tokens whose keys and values a batch may hold: each image in it once, and each row's own tokens
            and answer budget. A single request may hold more.
        prefix_bytes: Memory for keys and values kept from one request to the next; 0 keeps none, None takes what 64
            images of the model need, at most 2 GiB.

    Raises:
        SettingsError: A limit is impossible.
    """

    batch_rows: int = 32
    batch_tokens: int = 16_384
    prefix_bytes: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("batch_rows", 1), ("batch_tokens", 1), ("prefix_bytes", 0)):
            if (value := getattr(self, name)) is not None and value < least:
                raise SettingsError(f"{name}={value} is impossible; give {least} or more")


class Scheduler:
    """Computes submitted requests. Thread-safe.

    Args:
        model: The model, for exclusive use.
        reader: Provides cached prefixes for new requests.
        prefixes: Cache that receives the tokens of ended rows.
        scorer: Scores choices.
        limits: Bounds of the batch.
        suppressed: Ids that are never generated.
    """

    def __init__(
        self,
        model: LlavaForConditionalGeneration,
        reader: Reader,
        prefixes: PrefixCache,
        scorer: Scorer,
        *,
        limits: EngineLimits,
        suppressed: Tensor,
    ) -> None:
        self._model = model
        self._reader = reader
        self._prefixes = prefixes
        self._limits = limits
        self._scorer = scorer
        self._suppressed = suppressed
        self._early = Cancellations()  # requests cancelled before they were submitted
        self._lock = threading.Lock()
        self._waiting: deque[Job] = deque()
        self._handles: dict[Job, Handle] = {}
        self._running = False
        self._batch = Batch(model, [], suppressed)
        self._scorings: dict[Job, Iterator[Chunk | GeoChatError | None]] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="geochat-model")

    def submit(self, jobs: dict[Job, Handle]) -> None:
        """Add requests; those given together are admitted together if the limits allow."""
        with self._lock:
            for job, handle in jobs.items():
                handle.cancelled |= job.request.id in self._early
                self._early.discard(job.request.id)
            self._handles |= jobs
            self._waiting += jobs
            if not self._running:
                self._running = True
                self._thread.submit(self._run)

    def cancel(self, request_id: str) -> None:
        """Cancel a request, submitted or not."""
        with self._lock:
            handles = [handle for job, handle in self._handles.items() if job.request.id == request_id]
            if not handles:
                self._early.add(request_id)
        for handle in handles:
            handle.cancel()

    def forget(self, request_id: str) -> None:
        """Forget the cancellation of a request that is not running."""
        self._early.discard(request_id)

    def is_cancelled(self, job: Job) -> bool:
        """Return whether a request is cancelled."""
        return self._handles[job].cancelled

    def _run(self) -> None:
        """Compute until no requests are left."""
        while True:
            with self._lock:
                newcomers = list(self._admitted())
                if not (newcomers or self._batch.rows or self._scorings):
                    self._running = False
                    return
            try:
                self._turn(newcomers)
            except Exception as error:
                self._fail(error)

    def _admitted(self) -> Iterator[Job]:
        """Remove from the queue the next requests that fit, and cancelled ones, which need no space."""
        for job in [job for job in self._waiting if self.is_cancelled(job)]:
            self._waiting.remove(job)
            yield job
        held = [*(row.job for row in self._batch.rows), *self._scorings]
        unread: set[int] = set()
        while self._waiting and len(unread) < _IMAGES:
            job = self._waiting[0]
            held.append(job)
            fits = len(held) <= self._limits.batch_rows and _tokens(held) <= self._limits.batch_tokens
            if len(held) > 1 and not fits:
                return
            if job.prompt.image_end and not self._reader.knows(job):
                unread.add(job.prompt.image_number)
            yield self._waiting.popleft()

    def _turn(self, newcomers: Sequence[Job]) -> None:
        """Compute the next token of every row, and the first of new requests."""
        self._advance(self._batch)
        for job, scoring in list(self._scorings.items()):
            end = _next(scoring)
            if end is not None:
                del self._scorings[job]
                self._tell(job, end)
        rows = list(self._rows(newcomers))
        for row in rows:
            if row.job.prompt.turns:
                self._scorings[row.job] = self._scorer.score(row, self.is_cancelled)
        free = sorted((row for row in rows if not row.job.prompt.turns), key=_length_class)
        for _, group in groupby(free, key=_length_class):
            batch = Batch(self._model, list(group), self._suppressed)
            self._advance(batch)
            self._batch.join(batch)

    def _rows(self, jobs: Sequence[Job]) -> Iterator[Row]:
        """Yield rows of new requests that can be computed, with their images read."""
        for job, row in list(self._reader.rows(jobs, self.is_cancelled)):  # all first: reading takes time to cancel in
            end = row if isinstance(row, GeoChatError) else row.end(cancelled=self.is_cancelled(job))
            if end is not None:
                self._tell(job, end)
            elif isinstance(row, Row):
                yield row

    def _advance(self, batch: Batch) -> None:
        """Compute one token of each row, and remove rows that end."""
        if not batch.rows:
            return
        for row, logits in zip(batch.rows, batch.forward(), strict=True):
            if text := row.take(logits):
                self._tell(row.job, Chunk(text))
        kept = []
        for index, row in enumerate(batch.rows):
            if (end := row.end(cancelled=self.is_cancelled(row.job))) is None:
                kept.append(index)
                continue
            if isinstance(end, Chunk) and self._limits.prefix_bytes:
                self._prefixes.insert(row.read, len(row.beginning), batch.keyvalues(index), row.adapter)
            self._tell(row.job, end)
        if len(kept) < len(batch.rows):
            batch.keep(kept)

    def _tell(self, job: Job, event: Chunk | Exception) -> None:
        """Deliver a piece of an answer, or its end."""
        with self._lock:
            handle = self._handles.pop(job) if is_last(event) else self._handles[job]
        handle.feed(event)

    def _fail(self, error: Exception) -> None:
        """End every running answer with an error."""
        self._batch = Batch(self._model, [], self._suppressed)
        self._scorings.clear()
        with self._lock:
            begun = [job for job in self._handles if job not in self._waiting]
        for job in begun:
            self._tell(job, error)


def _next(scoring: Iterator[Chunk | GeoChatError | None]) -> Chunk | GeoChatError | None:
    try:
        return next(scoring)
    except GeoChatError as error:
        return error


def _length_class(row: Row) -> int:
    return len(row.own).bit_length()


def _tokens(jobs: Sequence[Job]) -> int:
    """Return an upper bound of the tokens in a batch's cache."""
    images = {job.prompt.image_number: job.prompt.image_end for job in jobs}
    longest = max(len(job.prompt.ids) - job.prompt.image_end for job in jobs)
    return sum(images.values()) + sum(longest + job.generation.max_new_tokens for job in jobs)
