"""Choice of the caption that an image is trained on: the one that agrees best with its others.

The five captions of an image differ, and a small model trained on a random one of them writes an average that fits
none. It is trained on the caption that agrees best with the other four, by the measure of CIDEr (Vedantam et al. 2015):
n-grams of up to four words, each weighted by inverse document frequency. Among equally good captions, the one shared by
more images of the scene is chosen, because a model can predict it.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from geochat_data.records import LabelledImage

_LONGEST = 4  # words of an n-gram
_SHARED = 2.0  # what it counts that all images of a scene share a caption; perfect agreement counts one
Grams = Counter[tuple[str, ...]]


def agreed(images: Sequence[LabelledImage]) -> list[LabelledImage]:
    """Return the images, each with the caption that agrees best with its others and those of its scene."""
    grams = [[_grams(caption) for caption in image.captions] for image in images]
    held = Counter(gram for captions in grams for gram in set().union(*captions))
    rarity = {gram: math.log(len(images) / count) for gram, count in held.items()}
    shared: dict[str | None, Counter[str]] = {}
    for image in images:
        shared.setdefault(image.scene, Counter()).update(set(image.captions))
    alike = Counter(image.scene for image in images)
    kept = []
    for image, captions in zip(images, grams, strict=True):
        vectors = [[_weighted(each, n, rarity) for n in range(1, _LONGEST + 1)] for each in captions]
        scores = [
            sum(_likeness(one, other) for other in vectors if other is not one) / (_LONGEST * max(len(vectors) - 1, 1))
            + _SHARED * shared[image.scene][caption] / alike[image.scene]
            for one, caption in zip(vectors, image.captions, strict=True)
        ]
        best = image.captions[scores.index(max(scores))] if scores else None
        kept.append(replace(image, captions=(best,) if best else ()))
    return kept


def _grams(caption: str) -> Grams:
    words = caption.lower().replace(".", " ").replace(",", " ").split()
    return Counter(tuple(words[at : at + n]) for n in range(1, _LONGEST + 1) for at in range(len(words) - n + 1))


def _weighted(grams: Grams, length: int, rarity: dict[tuple[str, ...], float]) -> dict[tuple[str, ...], float]:
    """Return the unit vector of the n-grams of one length."""
    vector = {gram: count * rarity[gram] for gram, count in grams.items() if len(gram) == length}
    norm = math.sqrt(sum(value**2 for value in vector.values())) or 1.0
    return {gram: value / norm for gram, value in vector.items()}


def _likeness(one: Sequence[dict[tuple[str, ...], float]], other: Sequence[dict[tuple[str, ...], float]]) -> float:
    return sum(value * b.get(gram, 0.0) for a, b in zip(one, other, strict=True) for gram, value in a.items())
