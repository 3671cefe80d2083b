"""Questions of a run: each turn of a training sample whose true answer a reward can be measured against."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import torch

from geochat.errors import DataError
from geochat.models import ModelInfo
from geochat_data.encoding import IGNORED, Collator, encode_sample
from geochat_data.samples import Sample
from geochat_train.recipe import GrpoRecipe
from geochat_train.reinforcement.rewards import Attempt, grade
from geochat_train.tuning.rows import Row, Rows


@dataclass(frozen=True)
class Turns(Sequence[Sample]):
    """Samples cut after one of their answers each.

    Attributes:
        samples: The samples.
        places: For each turn, its sample's index and the number of messages up to its answer.
    """

    samples: Sequence[Sample]
    places: Sequence[tuple[int, int]]

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | Sequence[Sample]:
        """Return the sample of one turn, whose last message is the true answer."""
        if isinstance(index, slice):
            return Turns(self.samples, self.places[index])
        number, count = self.places[index]
        sample = self.samples[number]
        turn = f"#{count // 2}" if count > 2 else ""
        return Sample(f"{sample.id}{turn}", sample.image, sample.messages[:count])


def choose_questions(rows: Rows, info: ModelInfo, recipe: GrpoRecipe) -> Rows:
    """Return the turns that a reward applies to, one a row; the others are counted as skipped.

    A later turn is asked with the true answers of those before it.

    Args:
        rows: Rows of one sample each.
        info: The facts about the model.
        recipe: Recipe of the run.

    Raises:
        DataError: There is no such turn.
    """
    places, lengths = [], []
    room = None if info.context is None else info.context - recipe.max_new_tokens
    for (number,), length in zip(rows.groups, rows.lengths, strict=True):
        sample = rows.samples[number]
        if room is not None and length > room:
            rows.report.skip("sample that leaves no room for max_new_tokens in the model's context", sample.id)
            continue
        for count, answer in enumerate(sample.messages, start=1):
            if answer.role != "assistant":
                continue
            question = sample.messages[count - 2].text
            if grade(Attempt.of(question, answer.text, answer.text, info.dialect), recipe.weights) is None:
                rows.report.skip("answer that no reward applies to", f"{sample.id}: {answer.text[:60]!r}")
                continue
            places.append((number, count))
            lengths.append(length)
    if not places:
        raise DataError(
            f"no answer of the data can be rewarded by {', '.join(recipe.rewards)} ({rows.report}); give rows whose "
            "answers hold boxes, a refusal of a [refer] question, a number or a choice"
        )
    groups = [[index] for index in range(len(places))]
    return Rows(Turns(rows.samples, places), groups, np.array(lengths, np.int32), rows.said, rows.report)


@dataclass(frozen=True)
class QuestionCollator:
    """Makes batches of prompts; a `data_collator` for transformers' `Trainer`.

    Attributes:
        inner: Collator of samples.
    """

    inner: Collator

    def __call__(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Return one batch.

        Returns:
            `input_ids` and `attention_mask` of the prompts, padded on the left, both (N, P); `pixel_values` of those
            with an image, left out if there are none; `samples`, the N samples, whose last message is the true answer.

        Raises:
            DataError: A sample cannot be trained on; the message names it.
            ImageError: An image is missing or unreadable.
        """
        samples = [sample for (sample,) in rows]
        prompts = [self.prompt(sample) for sample in samples]
        longest = max(map(len, prompts))
        padded = [[0] * (longest - len(prompt)) + prompt for prompt in prompts]
        mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        batch = {"input_ids": torch.tensor(padded), "attention_mask": torch.tensor(mask), "samples": samples}
        return batch | self.inner.images_of(samples)

    def prompt(self, sample: Sample) -> list[int]:
        """Tokenise a sample up to where its last answer begins."""
        example = encode_sample(sample, self.inner.processor, self.inner.max_length)
        spoken = _trailing(label != IGNORED for label in reversed(example.labels))
        return example.input_ids[: len(example.input_ids) - spoken]


def _trailing(supervised: Iterator[bool]) -> int:
    """Return the tokens from the start of the last answer, given backwards, to the end."""
    count, begun = 0, False
    for each in supervised:
        if begun and not each:
            break
        begun = begun or each
        count += 1
    return count
