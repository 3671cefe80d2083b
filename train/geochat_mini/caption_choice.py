"""Choice of the caption an image is taught: the one that agrees best with its others.

Five people caption an image in five ways, and a small model taught a random one of them writes the average of all,
which is none. It is taught the caption that agrees best with the other four, by what CIDEr (Vedantam et al. 2015)
compares: n-grams of up to four words, each weighted by how few images have it. Among captions that agree alike, the
one that more images of the scene share is the one a model can guess.
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
    """The images, each with the one of its captions that agrees best with its others and its scene's."""
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
    """Unit vector of the n-grams of one length."""
    vector = {gram: count * rarity[gram] for gram, count in grams.items() if len(gram) == length}
    norm = math.sqrt(sum(value**2 for value in vector.values())) or 1.0
    return {gram: value / norm for gram, value in vector.items()}


def _likeness(one: Sequence[dict[tuple[str, ...], float]], other: Sequence[dict[tuple[str, ...], float]]) -> float:
    return sum(value * b.get(gram, 0.0) for a, b in zip(one, other, strict=True) for gram, value in a.items())
