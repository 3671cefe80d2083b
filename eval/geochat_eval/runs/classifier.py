"""Predictor that classifies with a dual encoder, on the same questions as a generative model.

The classes are parsed from the published question: "... classes: airport, beach, harbor. Answer ...". The rest of the
question is ignored, and the answer is the most probable class.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice

import torch
from torch import Tensor

from geochat.clip import REMOTE_SENSING, Classifier, DualEncoder, LearnedPrompts
from geochat.errors import GeoChatError, PromptError
from geochat_eval.benchmarks.base import named_classes
from geochat_eval.runs.predictors import Prediction, Query

_TOGETHER = 32


class ClassifierPredictor:
    """Answers with the most probable of the classes that a question names.

    Args:
        encoder: Encoder of the features.
        prompts: Learned prompts for it; None uses `templates`.
        templates: Sentences in which `{}` stands for the class.

    Raises:
        CheckpointError: The prompts were learned for another encoder.
    """

    def __init__(
        self,
        encoder: DualEncoder,
        prompts: LearnedPrompts | None = None,
        templates: Sequence[str] = REMOTE_SENSING,
    ) -> None:
        how = "zero-shot" if prompts is None else f"{prompts.method} {prompts.file.name}"
        self.name = f"{encoder.name}, {how}"
        self.sha256: str | None = encoder.sha256
        self._encoder = encoder
        if prompts is not None:
            prompts.attach(encoder)

        @lru_cache(maxsize=64)  # the questions of a benchmark name the same classes, or orders of them
        def classifier(classes: tuple[str, ...]) -> Classifier:
            if prompts is None:
                return Classifier.zero_shot(encoder, classes, templates)
            learned = set(classes) == set(prompts.classes)  # then in their own order, which vectors of a class have
            return Classifier.learned(encoder, prompts, None if learned else classes)

        self._classifier = classifier

    def predict(self, questions: Iterable[Query]) -> Iterator[tuple[int, Prediction | GeoChatError]]:
        """See `Predictor`."""
        source = iter(questions)
        while batch := list(islice(source, _TOGETHER)):
            ready: list[tuple[Query, Classifier, Tensor]] = []
            for asked in batch:
                try:
                    ready.append((asked, self._classifier(classes_in_prompt(asked.prompt)), self._pixels(asked)))
                except GeoChatError as error:
                    yield asked.number, error
            if not ready:
                continue
            features = self._encoder.encode_pixels(torch.cat([pixels for _, _, pixels in ready]))
            for (asked, classifier, _), feature in zip(ready, features, strict=True):
                likeliest = int(classifier.probabilities(feature[None]).argmax())
                yield asked.number, Prediction(classifier.classes[likeliest])

    def _pixels(self, asked: Query) -> Tensor:
        if asked.image is None:
            raise PromptError("a classifier answers from the image alone, and it is withheld")
        return self._encoder.pixels([asked.image])


def classes_in_prompt(prompt: str) -> tuple[str, ...]:
    """Find the classes that a question names, sorted and without duplicates: their order carries no information.

    Raises:
        PromptError: It names none.
    """
    names = sorted(named_classes(prompt))
    if not names:
        raise PromptError(f"the question {prompt[:80]!r} names no classes; a classifier needs 'classes: a, b, c.'")
    return tuple(names)
