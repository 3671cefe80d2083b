"""Generation in this process, with transformers.

The decoding loop is our own: a prompt up to its image is read once for all questions about the image, then one token at
a time is computed for all callers together (see `scheduler`). In contrast to `generate`, answers stop computing when
cancelled, log-probabilities need no second pass, rows can join and leave a batch, and keys and values can be reused.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from queue import SimpleQueue

import torch
from torch import Tensor

from geochat.checkpoints import Checkpoint
from geochat.engines.attention import bytes_per_token, share_beginnings
from geochat.engines.choosing import Scorer
from geochat.engines.handle import Handle, is_last
from geochat.engines.prefix import PrefixCache, PrefixStats
from geochat.engines.prompt import Encoder
from geochat.engines.protocol import BatchEvent, Chunk, Completion, Request, complete
from geochat.engines.reading import Reader
from geochat.engines.rows import Job
from geochat.engines.scheduler import EngineLimits, Scheduler
from geochat.errors import GeoChatError
from geochat.models import Capabilities

_WINDOW = 2  # batches' worth of requests looked at together: finds rows of like length, holds few images
_IMAGES, _MOST_BYTES = 64, 2 << 30  # kept from one request to the next, unless the limits say otherwise
_CAPABILITIES = Capabilities(logprobs=True, choices=True, images=1)


class LocalEngine:
    """Answers with a checkpoint loaded in this process. Thread-safe; concurrent callers share batches.

    Attributes:
        checkpoint: The model, its processor and settings.
        info: The facts about the model, and what this engine can do.
        limits: Limits of the batch and the cache.
    """

    def __init__(self, checkpoint: Checkpoint, limits: EngineLimits | None = None) -> None:
        self.checkpoint = checkpoint
        self.info = replace(checkpoint.info, capabilities=_CAPABILITIES)
        model, tokenizer = checkpoint.model, checkpoint.processor.tokenizer
        self._encoder = Encoder(checkpoint, self.info)
        self.limits = limits or EngineLimits()
        room = self.limits.prefix_bytes
        if room is None:
            room = min(_IMAGES * self._encoder.patches * bytes_per_token(model), _MOST_BYTES)
            self.limits = replace(self.limits, prefix_bytes=room)
        self._prefixes = PrefixCache(room)
        self._scheduler = Scheduler(
            model,
            Reader(model, self.info, self._encoder, tokenizer, self._prefixes),
            self._prefixes,
            Scorer(model, tokenizer, self._prefixes, self.limits.batch_rows),
            limits=self.limits,
            suppressed=suppressed_tokens(checkpoint, self._encoder.ends),
        )
        share_beginnings(model)

    @property
    def prefix_stats(self) -> PrefixStats:
        """Statistics of the prefix cache: hits and memory."""
        return self._prefixes.stats

    def forget_prefixes(self) -> None:
        """Clear the prefix cache; call this when the model's weights have changed."""
        self._prefixes.clear()

    def cancel(self, request_id: str) -> None:
        """Run no further forward pass for a request; its last chunk says "cancelled". See `Engine`."""
        self._scheduler.cancel(request_id)

    def submit(self, request: Request) -> Handle:
        """Start a request without waiting for its answer.

        Raises:
            ContextLengthError: Prompt and answer budget exceed the model's context.
            PromptError: There are too many images, an image and no user turn, or choices that are not a set.
            ImageError: The image cannot be decoded.
        """
        job, handle = self._prepare(request, {}), Handle(request)
        self._scheduler.submit({job: handle})
        return handle

    def stream(self, request: Request) -> Iterator[Chunk]:
        """Stream an answer; with choices, the most probable one as one piece. Closing the stream cancels the request.

        Raises:
            GeoChatError: As in `submit`; raised by the call itself.
        """
        chunks = self._read(self.submit(request))
        next(chunks)  # begun, so that closing it cancels the request
        return chunks

    def generate(self, request: Request) -> Completion:
        """Return a complete answer; errors as in `submit`."""
        return complete(self.stream(request))

    def stream_batch(self, requests: Iterable[Request]) -> Iterator[BatchEvent]:
        """Answer many requests concurrently, streaming their pieces.

        Each answer equals that of the request alone. Requests are taken from the iterable a few batches at a time, and
        computed in an efficient order.

        Args:
            requests: Conversations and images.

        Yields:
            A request's place among `requests`, and the next piece of its answer or the error that ended it, which
            leaves the others alone.
        """
        numbered = enumerate(requests)
        events: SimpleQueue[tuple[int, Chunk | Exception]] = SimpleQueue()
        under_way: dict[int, Handle] = {}
        try:
            while True:
                if len(under_way) < self.limits.batch_rows:
                    window = dict(islice(numbered, _WINDOW * self.limits.batch_rows - len(under_way)))
                    yield from self._begin(window, under_way, events)
                if not under_way:
                    return
                number, event = events.get()
                if isinstance(event, Exception) and not isinstance(event, GeoChatError):
                    raise event
                yield number, event
                if is_last(event):
                    self._scheduler.forget(under_way.pop(number).request.id)
        finally:
            for handle in under_way.values():
                handle.cancel()
                self._scheduler.forget(handle.request.id)

    def _begin(
        self,
        requests: dict[int, Request],
        under_way: dict[int, Handle],
        events: "SimpleQueue[tuple[int, Chunk | Exception]]",
    ) -> Iterator[BatchEvent]:
        """Submit requests in an efficient order: rows of similar length, questions about one image in sequence.

        Yields:
            Errors of those that cannot be computed.
        """
        jobs: dict[Job, Handle] = {}
        numbers: dict[int, int] = {}
        for number, request in requests.items():
            try:
                job = self._prepare(request, numbers)
            except GeoChatError as error:
                yield number, error
                continue
            jobs[job] = under_way[number] = Handle(request)
            jobs[job].add_listener(partial(_put, events, number))
        self._scheduler.submit({job: jobs[job] for job in sorted(jobs, key=_order)})

    def _read(self, handle: Handle) -> Iterator[Chunk]:
        try:
            yield Chunk("")
            yield from handle
        finally:
            handle.cancel()
            self._scheduler.forget(handle.request.id)

    def _prepare(self, request: Request, numbers: dict[int, int]) -> Job:
        try:
            return Job(self._encoder.encode(request, numbers), request)
        except GeoChatError:
            self._scheduler.forget(request.id)
            raise


def _put(events: "SimpleQueue[tuple[int, Chunk | Exception]]", number: int, event: Chunk | Exception) -> None:
    events.put((number, event))


def _order(job: Job) -> tuple[int, int, int]:
    length = len(job.prompt.ids) - job.prompt.image_end
    return length.bit_length(), job.prompt.image_number, length


def suppressed_tokens(checkpoint: Checkpoint, ends: frozenset[int]) -> Tensor:
    """Ids that are never generated: special tokens other than end tokens, and rows that only pad the vocabulary."""
    tokenizer = checkpoint.processor.tokenizer
    padding = range(len(tokenizer), checkpoint.model.config.get_text_config().vocab_size)
    special = {*tokenizer.all_special_ids, checkpoint.model.config.image_token_id}
    return torch.tensor(sorted((special - ends) | set(padding)), dtype=torch.long)
