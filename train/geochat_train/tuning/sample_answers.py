"""Answers to validation questions during training, with boxes drawn."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import nn
from transformers import (
    LlavaForConditionalGeneration,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from geochat.checkpoints import Checkpoint
from geochat.engines import GenerationSettings, LocalEngine, Request
from geochat.imagery import open_image
from geochat.prompts import Message
from geochat_data.inspection import contact_sheet
from geochat_data.samples import Sample
from geochat_train.tuning.adapting import Tuned

_LONGEST = 128  # tokens of an answer


class SampleAnswers(TrainerCallback):
    """Answers the first question of some samples after each validation.

    Writes `step-N.png`, with labelled boxes on the left and predicted ones on the right, and `step-N.jsonl`, into
    `folder`.

    Args:
        samples: The questions.
        images: The folder their images are relative to.
        model: The model in training.
        checkpoint: Checkpoint from which it was made.
        folder: Folder for the pictures.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        images: Path,
        model: Tuned,
        checkpoint: Checkpoint,
        folder: Path,
    ) -> None:
        self._samples = samples
        self._images = images
        self._model = model
        self._checkpoint = checkpoint
        self._folder = folder

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Ask, draw, write."""
        if not state.is_world_process_zero:
            return
        inner = self._model.get_base_model() if isinstance(self._model, PeftModel) else self._model
        assert isinstance(inner, LlavaForConditionalGeneration)
        attention, training = inner.config.get_text_config()._attn_implementation, inner.training
        engine = LocalEngine(replace(self._checkpoint, model=inner.eval()))
        try:
            with _autocast(inner) if _is_mixed(inner) else nullcontext():
                said = [self._answer(engine, sample) for sample in self._samples]
        finally:
            inner.set_attn_implementation({"text_config": attention})  # the engine has put in its own
            inner.train(training)
        self._folder.mkdir(parents=True, exist_ok=True)
        pairs = [one for pair in zip(map(_first_turn, self._samples), said, strict=True) for one in pair]
        sheet = contact_sheet(pairs, self._images, engine.info.dialect, columns=4)
        sheet.save(self._folder / f"step-{state.global_step:06}.png")
        with (self._folder / f"step-{state.global_step:06}.jsonl").open("w", encoding="utf-8") as file:
            for sample, answer in zip(self._samples, said, strict=True):
                question, truth, *_ = (message.text for message in sample.messages)
                row = {"id": sample.id, "question": question, "label": truth, "answer": answer.messages[-1].text}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def _answer(self, engine: LocalEngine, sample: Sample) -> Sample:
        question = sample.messages[0]
        images = () if sample.image is None else (open_image(self._images / sample.image).pil(),)
        done = engine.generate(Request((question,), images, GenerationSettings(max_new_tokens=_LONGEST)))
        return Sample(sample.id, sample.image, (question, Message("assistant", done.text.strip() or "(nothing)")))


def _first_turn(sample: Sample) -> Sample:
    return Sample(sample.id, sample.image, sample.messages[:2])


def _is_mixed(model: nn.Module) -> bool:
    """Return whether trained float32 weights are mixed with frozen half-precision ones."""
    return len({parameter.dtype for parameter in model.parameters() if parameter.is_floating_point()}) > 1


@contextmanager
def _autocast(model: LlavaForConditionalGeneration) -> Iterator[None]:
    """Compute in bfloat16 in every thread: the engine computes in its own, and autocast applies to one thread."""
    modules: tuple[Any, ...] = (model, model.model)
    before = [vars(module).get("forward") for module in modules]
    for module in modules:
        module.forward = torch.autocast(model.device.type, torch.bfloat16)(module.forward)
    try:
        yield
    finally:
        for module, forward in zip(modules, before, strict=True):
            del module.forward
            if forward is not None:
                module.forward = forward
