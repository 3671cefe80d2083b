"""What captions say beyond what the class of the scene settles: counts, colours, what stands next to what.

A word (lower case, Porter stem, function words left out) is settled by a class when the references of at least half of
its images hold it. A caption that is the same for every image of a class says settled words alone.

- `beyond_class_precision`: of the words of an answer that its class does not settle, those that a reference holds;
  pooled over all answers.
- `beyond_class_recall`: of the words that at least two references of an image hold and its class does not settle, those
  the answer holds; pooled.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from geochat_eval.bootstrap import Figure, Shares
from geochat_eval.scorers.base import ScorerSettings

RULES = ("beyond_class_precision", "beyond_class_recall")
_WORD = re.compile(r"[^\W_]+")
_FUNCTION = re.compile(
    "a|an|and|are|at|be|by|for|from|has|have|here|in|is|it|its|of|on|or|s|some|that|the|there|these|this|to|with"
)
_SHARED = 2  # references that must hold a word for the answer to be expected to
_SETTLED = 0.5  # of a class's images


class ClassWords:
    """Collects captions of images whose class is known."""

    def __init__(self, settings: ScorerSettings) -> None:
        from nltk.stem.porter import PorterStemmer  # noqa: PLC0415 - an extra, of the caption scorer too

        self._settings = settings
        self._stem = PorterStemmer().stem
        self._captions: list[tuple[str, set[str], Counter[str], str | None]] = []

    def add(self, scene: str, text: str, references: Sequence[str], unit: str | None) -> None:
        """Collect one caption and its references."""
        held = Counter(word for reference in references for word in self._words(reference))
        self._captions.append((scene, self._words(text), held, unit))

    def figures(self) -> dict[str, Figure]:
        """Both rules; none where no class is known."""
        if not self._captions:
            return {}
        settled = self._settled()
        shares = Shares(RULES, replicates=self._settings.replicates, seed=self._settings.seed)
        for scene, said, held, unit in self._captions:
            told = said - settled[scene]
            expected = {word for word, count in held.items() if count >= _SHARED} - settled[scene]
            shares.add([(len(told & held.keys()), len(told)), (len(said & expected), len(expected))], (), unit)
        return shares.figures()

    def _settled(self) -> dict[str, set[str]]:
        sizes, counts = Counter[str](), defaultdict[str, Counter[str]](Counter)
        for scene, _, held, _ in self._captions:
            sizes[scene] += 1
            counts[scene].update(held.keys())
        return {
            scene: {word for word, count in words.items() if count >= _SETTLED * sizes[scene]}
            for scene, words in counts.items()
        }

    def _words(self, text: str) -> set[str]:
        return {self._stem(word) for word in _WORD.findall(text.lower()) if not _FUNCTION.fullmatch(word)}
