"""Generation in this process, with transformers.

The decoding loop is our own: a prompt up to its image is read once for all questions about it, the rest with the other
rows of a batch, then one token a row at a time. That gives what `generate` does not: answers that stop computing when
cancelled, log-probabilities without a second pass, rows that leave a batch, and keys and values in our own hands. A
single request is a batch of one. Inference mode is entered per forward pass, never around a `yield`, where it would
leak into the caller.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

import torch
from torch import Tensor
from transformers import DynamicCache

from geochat.checkpoints import Checkpoint
from geochat.engines.adapters import active_adapters
from geochat.engines.attention import share_beginnings
from geochat.engines.batch import Batch
from geochat.engines.batching import EngineLimits, batches
from geochat.engines.cancelling import Cancellations
from geochat.engines.choosing import Logprobs, chosen, passes, read_turns
from geochat.engines.keyvalues import CACHE, KeyValues
from geochat.engines.prefix import Beginning, Key, PrefixCache, PrefixStats
from geochat.engines.prompt import Encoder, Prompt
from geochat.engines.protocol import BatchEvent, Chunk, Completion, Request, complete
from geochat.engines.repetition import RepetitionGuard
from geochat.engines.rows import Job, Row
from geochat.errors import GeoChatError
from geochat.models import Capabilities

_WINDOW = 2  # batches' worth of requests looked at together: finds rows of like length, holds few images
_CAPABILITIES = Capabilities(logprobs=True, choices=True, images=1)
_NOTHING = torch.empty(0, dtype=torch.long)


class LocalEngine:
    """Answers with a checkpoint loaded in this process. May be used from several threads.

    Attributes:
        checkpoint: The model, its processor and settings.
        info: The facts about the model, and what this engine can do.
        limits: How much is computed together and kept.
    """

    def __init__(self, checkpoint: Checkpoint, limits: EngineLimits | None = None) -> None:
        self.checkpoint = checkpoint
        self.info = replace(checkpoint.info, capabilities=_CAPABILITIES)
        self.limits = limits or EngineLimits()
        self._model = checkpoint.model
        self._encoder = Encoder(checkpoint, self.info)
        self._prefixes = PrefixCache(self.limits.prefix_bytes)
        self._cancelled = Cancellations()
        self._suppressed = _suppressed_tokens(checkpoint, self._encoder.ends)
        share_beginnings(self._model)

    @property
    def prefix_stats(self) -> PrefixStats:
        """Statistics of the prefix cache: hits and memory."""
        return self._prefixes.stats

    def forget_prefixes(self) -> None:
        """Give up everything read before; to be called when the model's weights have been changed."""
        self._prefixes.clear()

    def cancel(self, request_id: str) -> None:
        """Run no further forward pass for a request; its last chunk says "cancelled". See `Engine`."""
        self._cancelled.add(request_id)

    def stream(self, request: Request) -> Iterator[Chunk]:
        """Answer piece by piece; the likeliest of the request's choices in one piece.

        Raises:
            ContextLengthError: Prompt and answer budget exceed the model's context. Raised by the call itself.
            PromptError: There are too many images, an image and no user turn, or choices that are not a set. Raised by
                the call itself.
            ImageError: The image cannot be decoded. Raised by the call itself.
        """
        try:
            job = Job(0, self._encoder.encode(request), request)
        except GeoChatError:
            self._cancelled.discard(request.id)
            raise
        answer = self._answer(job)
        next(answer)  # begun, so that closing it forgets the request
        return answer

    def generate(self, request: Request) -> Completion:
        """Answer at once; errors as in `stream`."""
        return complete(self.stream(request))

    def stream_batch(self, requests: Iterable[Request]) -> Iterator[BatchEvent]:
        """Answer many requests, several at a time, piece by piece.

        Each answer is the one its request gets alone. Requests are taken from the iterable a few batches at a time,
        and computed in the order that wastes least.

        Args:
            requests: Conversations and images.

        Yields:
            A request's place among `requests`, and the next piece of its answer or the error that ended it, which
            leaves the others alone.
        """
        numbered = enumerate(requests)
        while window := dict(islice(numbered, _WINDOW * self.limits.batch_rows)):
            try:
                for number, event in self._window(window):
                    if isinstance(event, GeoChatError) or event.finish is not None:
                        self._cancelled.discard(window[number].id)
                    yield number, event
            finally:
                for request in window.values():
                    self._cancelled.discard(request.id)

    def _window(self, requests: dict[int, Request]) -> Iterator[BatchEvent]:
        jobs: list[Job] = []
        numbers: dict[int, int] = {}
        for number, request in requests.items():
            try:
                jobs.append(Job(number, self._encoder.encode(request, numbers), request))
            except GeoChatError as error:
                yield number, error
        for batch in batches([job for job in jobs if not job.prompt.turns], self.limits):
            yield from self._write(batch)
        for job in jobs:
            if job.prompt.turns:
                yield job.number, self._choose(job)

    def _answer(self, job: Job) -> Iterator[Chunk]:
        try:
            yield Chunk("")
            for _, event in [(0, self._choose(job))] if job.prompt.turns else self._write([job]):
                if isinstance(event, GeoChatError):
                    raise event
                yield event
        finally:
            self._cancelled.discard(job.request.id)

    def _write(self, jobs: Sequence[Job]) -> Iterator[BatchEvent]:
        """Compute one batch of free answers to its end."""
        adapter = active_adapters(self._model)
        rows: list[Row] = []
        for job, row in list(self._rows(jobs, adapter)):  # all first: reading images takes time to cancel in
            end = row if isinstance(row, GeoChatError) else row.end(cancelled=self._is_cancelled(job))
            if end is not None:
                yield job.number, end
            elif isinstance(row, Row):
                rows.append(row)
        batch = Batch(self._model, rows, self._suppressed)
        while batch.rows:
            for row, logits in zip(batch.rows, batch.forward(), strict=True):
                if text := row.take(logits):
                    yield row.job.number, Chunk(text)
            yield from self._retire(batch, adapter)

    def _choose(self, job: Job) -> Chunk | GeoChatError:
        """Compute which of a request's choices is the likeliest."""
        adapter = active_adapters(self._model)
        ((_, row),) = self._rows([job], adapter)
        if isinstance(row, GeoChatError):
            return row
        try:
            return self._chosen(row, adapter)
        except GeoChatError as error:
            return error

    def _chosen(self, row: Row, adapter: str) -> Chunk | GeoChatError:
        if (end := row.end(cancelled=self._is_cancelled(row.job))) is not None:
            return end
        batch = Batch(self._model, [row], _NOTHING)  # what is never written freely may be part of a choice
        first, own = batch.forward()[0], batch.keyvalues(0)
        prompt = Beginning((*row.beginning.pieces, (own, len(own))))
        turns = row.job.prompt.turns
        logprobs: dict[int, Logprobs] = {}
        for indices in passes(turns, self.limits.batch_rows):
            if (end := row.end(cancelled=self._is_cancelled(row.job))) is not None:
                return end
            read = read_turns(self._model, [turns[index] for index in indices], prompt, first)
            logprobs.update(zip(indices, read, strict=True))
        if self.limits.prefix_bytes:
            self._prefixes.insert(row.read, len(row.beginning), own, adapter)
        ordered = [logprobs[index] for index in range(len(turns))]
        return chosen(row.job.request.choices, row.job.prompt, ordered, self.checkpoint.processor.tokenizer)

    def _is_cancelled(self, job: Job) -> bool:
        return job.request.id in self._cancelled

    def _retire(self, batch: Batch, adapter: str) -> Iterator[BatchEvent]:
        """Take rows that have ended out of the batch, and keep what they have read and written for later prompts."""
        kept = []
        for index, row in enumerate(batch.rows):
            if (end := row.end(cancelled=self._is_cancelled(row.job))) is None:
                kept.append(index)
                continue
            if isinstance(end, Chunk) and self.limits.prefix_bytes:
                self._prefixes.insert(row.read, len(row.beginning), batch.keyvalues(index), adapter)
            yield row.job.number, end
        if len(kept) < len(batch.rows):
            batch.keep(kept)

    def _rows(self, jobs: Sequence[Job], adapter: str) -> Iterator[tuple[Job, Row | GeoChatError]]:
        """Each job with the part of its prompt that need not be computed: up to its image's end at least.

        An image that has not been read before is read for it.
        """
        fresh: dict[Key, Beginning] = {}
        settings, tokenizer = self.info.settings, self.checkpoint.processor.tokenizer
        for job in jobs:
            prompt = job.prompt
            image = prompt.key[: prompt.image_end]
            try:
                if self._is_cancelled(job):
                    beginning = Beginning()
                elif not (beginning := self._prefixes.find(prompt.key, prompt.image_end, adapter)) and image:
                    if image not in fresh:
                        fresh[image] = self._prefixes.insert(image, 0, self._read_image(prompt), adapter)
                    beginning = fresh[image]
            except GeoChatError as error:
                yield job, error
                continue
            guard = RepetitionGuard(self.info.dialect) if settings.repetition_guard else None
            yield job, Row(job, beginning, tokenizer, self._encoder.ends, guard)

    @torch.inference_mode()
    def _read_image(self, prompt: Prompt) -> KeyValues:
        """Keys and values of a prompt up to the end of its image."""
        device, dtype = self._model.device, self._model.dtype
        cache = DynamicCache(config=self._model.config.get_text_config())
        self._model.model(  # without the head: nothing is predicted yet
            input_ids=torch.tensor([prompt.ids[: prompt.image_end]], device=device),
            pixel_values=self._encoder.pixels(prompt).to(device, dtype),
            use_cache=True,
            **{CACHE: cache},
        )
        return KeyValues.of(cache)


def _suppressed_tokens(checkpoint: Checkpoint, ends: frozenset[int]) -> Tensor:
    """Ids that are never generated: special tokens that end nothing, and rows that only pad the vocabulary."""
    tokenizer = checkpoint.processor.tokenizer
    padding = range(len(tokenizer), checkpoint.model.config.get_text_config().vocab_size)
    special = {*tokenizer.all_special_ids, checkpoint.model.config.image_token_id}
    return torch.tensor(sorted((special - ends) | set(padding)), dtype=torch.long)
