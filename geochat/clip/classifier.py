"""Classification of images by the most similar texts or learned prompts."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from geochat.clip.cache import FeatureCache, image_key
from geochat.clip.encoder import DualEncoder, Picture
from geochat.clip.layout import check_classes
from geochat.clip.learned import CoCoOp
from geochat.clip.prompt_files import LearnedPrompts
from geochat.clip.templates import REMOTE_SENSING, check_templates, fill
from geochat.clip.workers import lone_workers
from geochat.errors import GeoChatError
from geochat.imagery import GeoImage, open_image

Opener = Callable[[Picture], GeoImage]
OnError = Callable[[Picture, GeoChatError], None]
_TOGETHER = 16  # images whose own prompts are encoded at once


@dataclass(frozen=True)
class Classification:
    """Classification of an image.

    Attributes:
        image: The file, or "image" for one given in memory.
        label: The most probable class.
        probabilities: By class, in the order of the classes; they sum to 1.
    """

    image: str
    label: str
    probabilities: dict[str, float]

    @property
    def probability(self) -> float:
        """Probability of the most probable class."""
        return self.probabilities[self.label]

    def ranked(self) -> list[tuple[str, float]]:
        """Return the classes, most probable first."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])


class Classifier:
    """An encoder with classes.

    Attributes:
        encoder: Encoder of the images.
        classes: Names, K of them.
    """

    def __init__(self, encoder: DualEncoder, classes: Sequence[str], logits: Callable[[Tensor], Tensor]) -> None:
        """Create a classifier whose `logits` maps features (N, D) to (N, K)."""
        self.encoder = encoder
        self.classes = tuple(classes)
        self._logits = logits

    @classmethod
    def zero_shot(
        cls, encoder: DualEncoder, classes: Sequence[str], templates: Sequence[str] = REMOTE_SENSING
    ) -> "Classifier":
        """Create a classifier for classes known only by their names.

        p(y=i|x) = softmax_i cos(w_i, f) / τ (Radford et al. 2021); w_i is the normalised mean of the
        normalised features of the templates filled with the class.

        Args:
            encoder: Encoder of images and texts.
            classes: Their names.
            templates: Sentences in which `{}` stands for the class.

        Raises:
            SettingsError: There are no classes, or one is there twice.
            PromptError: A template has no `{}`, or a prompt is too long.
        """
        names = check_classes(classes)
        weights = text_weights(encoder, names, templates)  # (K, D)
        return cls(encoder, names, lambda features: encoder.scale * features @ weights.T)

    @classmethod
    def learned(
        cls, encoder: DualEncoder, prompts: LearnedPrompts, classes: Sequence[str] | None = None
    ) -> "Classifier":
        """Create a classifier from prompts learned by CoOp or CoCoOp; arguments and errors are those of `attach`."""
        module = prompts.attach(encoder, None if classes is None else tuple(classes))
        if isinstance(module, CoCoOp):
            conditional = module
            return cls(
                encoder, module.classes, lambda features: torch.cat([*map(conditional, features.split(_TOGETHER))])
            )
        weights = module.text_features()
        return cls(encoder, module.classes, lambda features: encoder.scale * features @ weights.T)

    @torch.no_grad()
    def probabilities(self, features: Tensor) -> Tensor:
        """Probabilities (N, K) of images' features (N, D)."""
        return self._logits(features).softmax(-1)

    def classify(self, image: Picture) -> Classification:
        """Classify one image.

        Raises:
            ImageError: It cannot be read.
        """
        (outcome,) = self._outcomes([image], _open, None)
        if isinstance(outcome, _Failed):
            raise outcome.error
        return outcome

    def classify_many(
        self,
        images: Iterable[Picture],
        *,
        batch_size: int = 32,
        opener: Opener | None = None,
        cache: FeatureCache | None = None,
        on_error: OnError | None = None,
    ) -> Iterator[Classification]:
        """Classify images; results come in order, as soon as they are ready.

        Args:
            images: Files, PIL images, arrays or opened images.
            batch_size: Number of images per batch.
            opener: Opens an image; None takes `open_image` as it is.
            cache: Cache of features.
            on_error: Called with an image that cannot be read, which is then left out; None raises.

        Raises:
            ImageError: An image cannot be read and there is no `on_error`.
        """
        work = partial(self._outcomes, opener=opener or _open, cache=cache)
        with lone_workers() as (pool, count):
            # Cores share a batch; any other device encodes it whole.
            share = max(batch_size // count, 1) if self.encoder.device.type == "cpu" else batch_size
            batches = _batches(images, share)
            waiting = deque(pool.submit(work, batch) for batch in islice(batches, 2 * count))
            while waiting:
                outcomes = waiting.popleft().result()
                waiting.extend(pool.submit(work, batch) for batch in islice(batches, 1))
                for outcome in outcomes:
                    if isinstance(outcome, Classification):
                        yield outcome
                    elif on_error is None:
                        raise outcome.error
                    else:
                        on_error(outcome.image, outcome.error)

    def _outcomes(
        self, images: Sequence[Picture], opener: Opener, cache: FeatureCache | None
    ) -> list["Classification | _Failed"]:
        """Result of each of several images."""
        read = [_prepare(self.encoder, image, opener, cache) for image in images]
        batch = [each for each in read if isinstance(each, _Prepared)]
        rows = iter(self.probabilities(_features(self.encoder, batch, cache)).tolist() if batch else [])
        return [self._named(each.name, next(rows)) if isinstance(each, _Prepared) else each for each in read]

    def _named(self, name: str, probabilities: list[float]) -> Classification:
        by_class = dict(zip(self.classes, probabilities, strict=True))
        return Classification(name, max(by_class, key=by_class.__getitem__), by_class)


def text_weights(encoder: DualEncoder, classes: Sequence[str], templates: Sequence[str]) -> Tensor:
    """Return w_i: the normalised mean of the normalised features of each class's prompts; (K, D).

    Raises:
        PromptError: A template has no `{}`, or a prompt is too long.
    """
    wordings = check_templates(templates)
    texts = [fill(template, name) for name in classes for template in wordings]
    features = encoder.encode_texts(texts).view(len(classes), len(wordings), -1)  # (K, templates, D)
    return functional.normalize(features.mean(1), dim=-1)


@dataclass(frozen=True)
class _Prepared:
    """An image ready to be encoded, or its cached features."""

    name: str
    key: str | None
    square: Tensor | None
    features: Tensor | None


@dataclass(frozen=True)
class _Failed:
    image: Picture
    error: GeoChatError


def _open(image: Picture) -> GeoImage:
    return image if isinstance(image, GeoImage) else open_image(image)


def _name(image: Picture) -> str:
    if isinstance(image, GeoImage):
        return str(image.path) if image.path else "image"
    return str(image) if isinstance(image, (str, Path)) else "image"


def _batches(images: Iterable[Picture], size: int) -> Iterator[list[Picture]]:
    """Consecutive lists of `size` images, the last one shorter."""
    left = iter(images)
    while batch := list(islice(left, size)):
        yield batch


def _prepare(encoder: DualEncoder, image: Picture, opener: Opener, cache: FeatureCache | None) -> _Prepared | _Failed:
    try:
        opened = opener(image)
        key = image_key(opened) if cache is not None else None
        found = cache.get(key) if cache is not None and key is not None else None
        square = encoder.square(opened) if found is None else None
    except GeoChatError as error:
        return _Failed(image, error)
    return _Prepared(_name(image), key, square, found)


def _features(encoder: DualEncoder, batch: list[_Prepared], cache: FeatureCache | None) -> Tensor:
    """Return features (N, D), cached or newly encoded; new ones are cached."""
    missing = [number for number, prepared in enumerate(batch) if prepared.features is None]
    made: dict[int, Tensor] = {}
    if missing:
        squares = [batch[number].square for number in missing]
        encoded = encoder.encode_squares(torch.stack([each for each in squares if each is not None]))
        made = dict(zip(missing, encoded, strict=True))
        keys = [batch[number].key for number in missing]
        if cache is not None:
            cache.put([key for key in keys if key is not None], encoded)
    rows = [made[number] if each.features is None else each.features for number, each in enumerate(batch)]
    return torch.stack([row.to(encoder.device) for row in rows])
