"""Generation in this process, with transformers.

The decoding loop is our own: a prompt up to its image is read once for all questions about it, the rest with the other
rows of a batch, then one token a row at a time. That gives what `generate` does not: answers that stop computing when
cancelled, log-probabilities without a second pass, rows that leave a batch, and keys and values in our own hands. A
single request is a batch of one. Inference mode is entered per forward pass, never around a `yield`, where it would
leak into the caller.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from geochat.checkpoints import Checkpoint, Settings
from geochat.engines.adapters import active_adapters
from geochat.engines.attention import share_beginnings
from geochat.engines.batch import Batch
from geochat.engines.batching import EngineLimits, batches
from geochat.engines.keyvalues import CACHE, KeyValues
from geochat.engines.prefix import Beginning, Key, PrefixCache, PrefixStats
from geochat.engines.prompt import Encoder, Prompt
from geochat.engines.protocol import BatchEvent, Chunk, Completion, Request, complete
from geochat.engines.rows import Job, Row
from geochat.errors import GeoChatError

_WINDOW = 2  # batches' worth of requests looked at together: finds rows of like length, holds few images


class LocalEngine:
    """Answers with a checkpoint loaded in this process. May be used from several threads.

    Attributes:
        checkpoint: The model, its processor and settings.
        limits: How much is computed together and kept.
    """

    def __init__(self, checkpoint: Checkpoint, limits: EngineLimits | None = None) -> None:
        self.checkpoint = checkpoint
        self.limits = limits or EngineLimits()
        self._model = checkpoint.model
        self._encoder = Encoder(checkpoint)
        self._prefixes = PrefixCache(self.limits.prefix_bytes)
        self._ends = _end_tokens(checkpoint)
        self._suppressed = _suppressed_tokens(checkpoint, self._ends)
        share_beginnings(self._model)

    @property
    def name(self) -> str:
        """What answers and exports call the model."""
        return self.checkpoint.name

    @property
    def sha256(self) -> str | None:
        """Hash of the weights."""
        return self.checkpoint.sha256

    @property
    def settings(self) -> Settings:
        """The checkpoint's GeoChat settings."""
        return self.checkpoint.settings

    @property
    def image_size(self) -> int:
        """Side of the square the model sees, in pixels."""
        vision: Any = self._model.config.vision_config
        return int(vision.image_size)

    @property
    def prefix_stats(self) -> PrefixStats:
        """What was found of prompts read before, and the memory it takes."""
        return self._prefixes.stats

    def forget_prefixes(self) -> None:
        """Give up everything read before; to be called when the model's weights have been changed."""
        self._prefixes.clear()

    def stream(self, request: Request, cancel: threading.Event | None = None) -> Iterator[Chunk]:
        """Answer piece by piece.

        Args:
            request: The conversation and the image.
            cancel: Once set, no further forward pass is run; the last chunk says "cancelled".

        Raises:
            ContextLengthError: Prompt and answer budget exceed the model's context. Raised by the call itself.
            PromptError: There is an image and no user turn. Raised by the call itself.
            ImageError: The image cannot be decoded. Raised by the call itself.
        """
        prompt = self._encoder.encode(request)
        return self._answer(Job(0, prompt, request.generation, cancel or threading.Event()))

    def generate(self, request: Request) -> Completion:
        """Answer at once; errors as in `stream`."""
        return complete(self.stream(request))

    def stream_batch(
        self, requests: Iterable[Request], cancels: Sequence[threading.Event | None] = ()
    ) -> Iterator[BatchEvent]:
        """Answer many requests, several at a time, piece by piece.

        Each answer is the one its request gets alone. Requests are taken from the iterable a few batches at a time,
        and computed in the order that wastes least.

        Args:
            requests: Conversations and images.
            cancels: Each request's own event; once set, nothing more is computed for it. May grow as requests are
                taken.

        Yields:
            A request's place among `requests`, and the next piece of its answer or the error that ended it, which
            leaves the others alone.
        """
        numbered = enumerate(requests)
        while window := list(islice(numbered, _WINDOW * self.limits.batch_rows)):
            jobs: list[Job] = []
            numbers: dict[int, int] = {}
            for number, request in window:
                cancel = cancels[number] if number < len(cancels) else None
                try:
                    prompt = self._encoder.encode(request, numbers)
                except GeoChatError as error:
                    yield number, error
                    continue
                jobs.append(Job(number, prompt, request.generation, cancel or threading.Event()))
            for batch in batches(jobs, self.limits):
                yield from self._run(batch)

    def _answer(self, job: Job) -> Iterator[Chunk]:
        for _, event in self._run([job]):
            if isinstance(event, GeoChatError):
                raise event
            yield event

    def _run(self, jobs: Sequence[Job]) -> Iterator[BatchEvent]:
        """Compute one batch to its end."""
        adapter = active_adapters(self._model)
        rows: list[Row] = []
        for job, beginning in list(
            self._beginnings(jobs, adapter)
        ):  # all first: reading images takes time to cancel in
            if isinstance(beginning, GeoChatError):
                yield job.number, beginning
                continue
            row = Row(job, beginning, self.checkpoint.processor.tokenizer, self._ends)
            if (end := row.end()) is None:
                rows.append(row)
            else:
                yield job.number, end
        batch = Batch(self._model, rows, self._suppressed)
        while batch.rows:
            for row, logits in zip(batch.rows, batch.forward(), strict=True):
                if text := row.take(logits):
                    yield row.job.number, Chunk(text)
            yield from self._retire(batch, adapter)

    def _retire(self, batch: Batch, adapter: str) -> Iterator[BatchEvent]:
        """Take rows that have ended out of the batch, and keep what they have read and written for later prompts."""
        kept = []
        for index, row in enumerate(batch.rows):
            if (end := row.end()) is None:
                kept.append(index)
                continue
            if isinstance(end, Chunk) and self.limits.prefix_bytes:
                self._prefixes.insert(row.read, len(row.beginning), batch.keyvalues(index), adapter)
            yield row.job.number, end
        if len(kept) < len(batch.rows):
            batch.keep(kept)

    def _beginnings(self, jobs: Sequence[Job], adapter: str) -> Iterator[tuple[Job, Beginning | GeoChatError]]:
        """What need not be computed of each prompt: up to its image's end at least, reading the image where needed."""
        fresh: dict[Key, Beginning] = {}
        for job in jobs:
            prompt = job.prompt
            image = prompt.key[: prompt.image_end]
            try:
                if job.cancel.is_set():
                    beginning = Beginning()
                elif not (beginning := self._prefixes.find(prompt.key, prompt.image_end, adapter)) and image:
                    if image not in fresh:
                        fresh[image] = self._prefixes.insert(image, 0, self._read_image(prompt), adapter)
                    beginning = fresh[image]
                yield job, beginning
            except GeoChatError as error:
                yield job, error

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


def _end_tokens(checkpoint: Checkpoint) -> frozenset[int]:
    """Every id that ends an answer, by the tokenizer and by the generation config."""
    configured = getattr(checkpoint.model.generation_config, "eos_token_id", None)
    listed = configured if isinstance(configured, list) else [configured]
    return frozenset(i for i in [*listed, checkpoint.processor.tokenizer.eos_token_id] if i is not None)


def _suppressed_tokens(checkpoint: Checkpoint, ends: frozenset[int]) -> Tensor:
    """Ids that are never generated: special tokens that end nothing, and rows that only pad the vocabulary."""
    tokenizer = checkpoint.processor.tokenizer
    padding = range(len(tokenizer), checkpoint.model.config.get_text_config().vocab_size)
    special = {*tokenizer.all_special_ids, checkpoint.model.config.image_token_id}
    return torch.tensor(sorted((special - ends) | set(padding)), dtype=torch.long)
