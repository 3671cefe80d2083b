"""Generation in this process, with transformers.

The decoding loop is our own: one prefill, then one token at a time on the same key/value cache. That gives what
`generate` does not: an answer that stops computing when cancelled, log-probabilities without a second pass, and a
cache in our own hands. Inference mode is entered per forward pass, never around a `yield`, where it would leak into
the caller.
"""

import math
import threading
from collections.abc import Iterator
from typing import Any

import torch
from transformers import BatchFeature, DynamicCache

from geochat.checkpoints import Checkpoint, Settings
from geochat.engines.protocol import Chunk, Completion, Finish, GenerationSettings, Request, Usage, complete
from geochat.engines.sampling import choose, generator_for
from geochat.engines.writing import Writer
from geochat.errors import ContextLengthError
from geochat.prompts import chat_messages


class LocalEngine:
    """Answers with a checkpoint loaded in this process.

    Attributes:
        checkpoint: The model, its processor and settings.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self._model = checkpoint.model
        self._tokenizer = checkpoint.processor.tokenizer
        self._encoding = threading.Lock()  # fast tokenizers may not be used from two threads at once
        self._ends = _end_tokens(checkpoint)
        self._suppressed = _suppressed_tokens(checkpoint, self._ends)

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

    def stream(self, request: Request, cancel: threading.Event | None = None) -> Iterator[Chunk]:
        """Answer piece by piece.

        Args:
            request: The conversation and the image.
            cancel: Once set, no further forward pass is run; the last chunk says "cancelled".

        Raises:
            ContextLengthError: Prompt and answer budget exceed the model's context. Raised by the call itself.
            PromptError: There is an image and no user turn. Raised by the call itself.
        """
        inputs = self._encode(request)
        self._check_length(inputs, request.generation)
        return self._answer(inputs, request.generation, cancel or threading.Event())

    def generate(self, request: Request) -> Completion:
        """Answer at once; errors as in `stream`."""
        return complete(self.stream(request))

    def _encode(self, request: Request) -> BatchFeature:
        """Token ids (1, T) with one placeholder per image patch, attention mask (1, T), pixel values (1, 3, S, S)."""
        processor = self.checkpoint.processor
        messages = chat_messages(request.messages, with_image=request.image is not None)
        prompt = processor.apply_chat_template(messages, add_generation_prompt=True)
        bos = self._tokenizer.bos_token
        with self._encoding:
            inputs: BatchFeature = processor(
                text=prompt,
                images=None if request.image is None else request.image.convert("RGB"),
                add_special_tokens=not (bos and prompt.startswith(bos)),  # a second one changes the answer
                return_tensors="pt",
            )
        return inputs

    def _check_length(self, inputs: BatchFeature, generation: GenerationSettings) -> None:
        context = self._model.config.get_text_config().max_position_embeddings
        prompt, budget = inputs["input_ids"].shape[1], generation.max_new_tokens
        excess = prompt + budget - context
        if excess > 0:
            raise ContextLengthError(
                f"the prompt has {prompt} tokens and the answer may take {budget}, {excess} more than the model's "
                f"context of {context}; shorten the question, start a new conversation or lower max_new_tokens"
            )

    def _answer(self, inputs: BatchFeature, generation: GenerationSettings, cancel: threading.Event) -> Iterator[Chunk]:
        writer = Writer(self._tokenizer, generation.stop)
        finish: Finish = "length"
        generated = 0
        for token, logprob in self._tokens(inputs, generation, cancel):
            generated += 1
            text = writer.feed(token, logprob)
            if text:
                yield Chunk(text)
            if token in self._ends or writer.stopped:
                finish = "stop"
                break
        else:
            if generated < generation.max_new_tokens:
                finish = "cancelled"
        usage = Usage(inputs["input_ids"].shape[1], generated)
        yield Chunk(writer.close(), finish, usage, writer.scores)

    def _tokens(
        self, inputs: BatchFeature, generation: GenerationSettings, cancel: threading.Event
    ) -> Iterator[tuple[int, float]]:
        """Up to `max_new_tokens` tokens with their log-probabilities; ends early only when cancelled."""
        model = self._model
        cache = DynamicCache(config=model.config.get_text_config())
        generator = generator_for(generation)
        step = dict(inputs.to(model.device, model.dtype))
        for _ in range(generation.max_new_tokens):
            if cancel.is_set():
                return
            token, logprob = choose(self._forward(step, cache), generation, generator)
            yield token, logprob
            step = {"input_ids": torch.tensor([[token]], device=model.device)}

    @torch.inference_mode()
    def _forward(self, step: dict[str, torch.Tensor], cache: DynamicCache) -> torch.Tensor:
        """Logits (V,) on the CPU after the last token of `step`, whose keys and values are added to `cache`."""
        output = self._model(**step, past_key_values=cache, use_cache=True, logits_to_keep=1)
        logits: torch.Tensor = output.logits[0, -1].float().cpu()
        return logits.index_fill(-1, self._suppressed, -math.inf)


def _end_tokens(checkpoint: Checkpoint) -> frozenset[int]:
    """Every id that ends an answer, by the tokenizer and by the generation config."""
    configured = getattr(checkpoint.model.generation_config, "eos_token_id", None)
    listed = configured if isinstance(configured, list) else [configured]
    return frozenset(i for i in [*listed, checkpoint.processor.tokenizer.eos_token_id] if i is not None)


def _suppressed_tokens(checkpoint: Checkpoint, ends: frozenset[int]) -> torch.Tensor:
    """Ids that are never generated: special tokens that end nothing, and rows that only pad the vocabulary."""
    tokenizer = checkpoint.processor.tokenizer
    padding = range(len(tokenizer), checkpoint.model.config.get_text_config().vocab_size)
    special = {*tokenizer.all_special_ids, checkpoint.model.config.image_token_id}
    return torch.tensor(sorted((special - ends) | set(padding)), dtype=torch.long)
