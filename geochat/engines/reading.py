"""Reading of images: the prompt up to its image's end is read once for all questions about the image."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import torch
from transformers import DynamicCache, LlavaForConditionalGeneration, PreTrainedTokenizerBase

from geochat.engines.attention import CACHE, KeyValues
from geochat.engines.prefix import Beginning, Key, PrefixCache, active_adapters
from geochat.engines.prompt import Encoder, Prompt
from geochat.engines.rows import BoxTokens, Job, Row
from geochat.engines.writing import RepetitionGuard
from geochat.errors import GeoChatError
from geochat.models import ModelInfo


class Reader:
    """Makes rows of requests, reusing cached prefixes.

    Args:
        model: The model.
        info: The facts about the model.
        encoder: Prepares images.
        tokenizer: Tokenizer of the tokens.
        prefixes: Cache of prefixes.
    """

    def __init__(
        self,
        model: LlavaForConditionalGeneration,
        info: ModelInfo,
        encoder: Encoder,
        tokenizer: PreTrainedTokenizerBase,
        prefixes: PrefixCache,
    ) -> None:
        self._model = model
        self._info = info
        self._encoder = encoder
        self._tokenizer = tokenizer
        self._boxes = BoxTokens.find(tokenizer, info.dialect)
        self._prefixes = prefixes

    def knows(self, job: Job) -> bool:
        """Return whether a job's image has been read before."""
        return self._prefixes.holds(_image(job.prompt), active_adapters(self._model))

    def rows(
        self, jobs: Sequence[Job], is_cancelled: Callable[[Job], bool]
    ) -> Iterator[tuple[Job, Row | GeoChatError]]:
        """Yield each job's row, whose beginning goes up to its image's end at least, or the error of its image.

        Images that have not been read before are read together. A cancelled job reads nothing.
        """
        adapter = active_adapters(self._model)
        wanted = [job for job in jobs if not is_cancelled(job)]
        found = {job: self._prefixes.find(job.prompt.key, job.prompt.image_end, adapter) for job in wanted}
        unread = {_image(job.prompt): job.prompt for job in wanted if job.prompt.image_end and not found[job]}
        read = self._read(list(unread.values()), adapter)
        for job in jobs:
            beginning = found.get(job, Beginning())
            if job in found and not beginning and job.prompt.image_end:
                known = read[_image(job.prompt)]
                if isinstance(known, GeoChatError):
                    yield job, known
                    continue
                beginning = known
            guard = RepetitionGuard(self._info.dialect) if self._info.settings.repetition_guard else None
            ends, boxes = self._encoder.ends, self._boxes
            yield job, Row(job, beginning, self._tokenizer, ends, guard, boxes=boxes, adapter=adapter)

    def _read(self, prompts: Sequence[Prompt], adapter: str) -> dict[Key, Beginning | GeoChatError]:
        """Read the images of prompts: keys and values up to each image's end, or the error of an image."""
        results: dict[Key, Beginning | GeoChatError] = {}
        prepared = []
        for prompt in prompts:
            try:
                prepared.append((prompt, self._encoder.pixels(prompt)))
            except GeoChatError as error:
                results[_image(prompt)] = error
        for _, group in groupby(prepared, key=lambda each: each[0].ids[: each[0].image_end]):
            alike = list(group)
            read = self._read_together([prompt for prompt, _ in alike], torch.cat([pixels for _, pixels in alike]))
            for (prompt, _), keyvalues in zip(alike, read, strict=True):
                results[_image(prompt)] = self._prefixes.insert(_image(prompt), 0, keyvalues, adapter)
        return results

    @torch.inference_mode()
    def _read_together(self, prompts: Sequence[Prompt], pixels: torch.Tensor) -> list[KeyValues]:
        """Compute keys and values of prompts up to the ends of their images, if they differ only in the images.

        Args:
            prompts: The prompts.
            pixels: Pixels of their images, (B, 3, S, S).
        """
        device, dtype = self._model.device, self._model.dtype
        cache = DynamicCache(config=self._model.config.get_text_config())
        end = prompts[0].image_end
        self._model.model(  # without the head: nothing is predicted yet
            input_ids=torch.tensor([prompt.ids[:end] for prompt in prompts], device=device),
            pixel_values=pixels.to(device, dtype),
            use_cache=True,
            **{CACHE: cache},
        )
        if len(prompts) == 1:
            return [KeyValues.of(cache)]
        return [KeyValues.taken(cache, row, 0, end) for row in range(len(prompts))]


def _image(prompt: Prompt) -> Key:
    """The part of a prompt up to the end of its image."""
    return prompt.key[: prompt.image_end]
