"""Scoring of captions against one or several references.

Rules, each a mean over answers unless it says otherwise, in percent:

- `rouge_1`, `rouge_l`: F-measure of the package rouge-score with Porter stemming; the best of several references.
- `bleu_1` ... `bleu_4`: corpus BLEU of coco-caption (package pycocoevalcap): n-grams up to that length pooled over
  all answers, brevity penalty by the reference closest in length, tokens of Stanford's PTB tokenizer in lower case
  without punctuation.
- `rouge_l_coco`: ROUGE-L of coco-caption on the same tokens: no stemming, β = 1.2, best precision and best recall
  over the references.
- `cider`: CIDEr-D of coco-caption on the same tokens, document frequencies from the references of the answers scored;
  100 is a CIDEr of 1, 1000 the most there can be. It means little on a handful of answers.
- `meteor`: METEOR 1.5 of coco-caption on the same tokens, pooled over all answers; no interval.
- `meteor_nltk`: METEOR of the package nltk on words split at spaces, with its stemmer and WordNet.
- `meteor_nltk_without_wordnet`: the same without synonyms; never above `meteor_nltk`.

Where the line's `scene` names the class, two rules measure what a caption says beyond the class:

A word (lower case, Porter stem, function words left out) is settled by a class when the references of at least half of
its images hold it. A caption that is the same for every image of a class says settled words alone.

- `beyond_class_precision`: of the words of an answer that its class does not settle, those that a reference holds;
  pooled over all answers.
- `beyond_class_recall`: of the words that at least two references of an image hold and its class does not settle, those
  the answer holds; pooled.

What pycocoevalcap computes needs Java, `meteor_nltk` the WordNet corpus of nltk; nothing is ever downloaded.
Groups are the line's `size_group`.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from geochat_eval.bootstrap import Figure, Shares
from geochat_eval.formats import AnswerRecord, decoded
from geochat_eval.scorers import caption_metrics
from geochat_eval.scorers.base import Scored, ScorerSettings

_NUMBERED = re.compile(r"caption_?(\d{1,3})")
_ROUGE = {"rouge_1": "rouge1", "rouge_l": "rougeL"}


class CaptionScorer:
    """Captions of regions or images. Stores the captions, because n-grams are weighted over all of them."""

    def __init__(self, settings: ScorerSettings) -> None:
        self._settings = settings
        self._rouge = caption_metrics.rouge_scorer(list(_ROUGE.values()))
        self._meteor, self._no_wordnet = caption_metrics.nltk_meteor()
        self._rules = (*_ROUGE, *self._meteor)
        self._shares = Shares(self._rules, replicates=settings.replicates, seed=settings.seed)
        self._captions: list[caption_metrics.Caption] = []
        self._class_words = ClassWords(settings)

    def add(self, answer: AnswerRecord) -> float:
        """Count one answer; returns its `rouge_l`."""
        size = answer.group("size_group") or ""
        truths, scene = references(answer), answer.group("scene")
        if scene is not None:
            self._class_words.add(scene, answer.text, truths, answer.unit_name)
        return self.add_text(answer.text, truths, [size] if size.isalpha() else [], answer.unit_name)

    def add_text(self, text: str, truths: Sequence[str], groups: Sequence[str], unit: str | None) -> float:
        """Count one caption against its references; returns its `rouge_l`."""
        rouge = self._rouge.score_multi(truths, text)
        words = [truth.split() for truth in truths]
        shares = [rouge[name].fmeasure for name in _ROUGE.values()]
        shares += [score(words, text.split()) for score in self._meteor.values()]
        self._shares.add([(share, 1) for share in shares], groups, unit)
        self._captions.append(caption_metrics.Caption(text, tuple(truths), tuple(groups), unit))
        return float(rouge["rougeL"].fmeasure)

    def result(self) -> Scored:
        """Return figures, and the rules that could not be computed here."""
        figures: dict[str, Figure] = {**self._shares.figures(), **self._class_words.figures()}
        not_computed = dict(self._no_wordnet)
        reason = caption_metrics.missing_for_coco()
        rules = [rule for rule in caption_metrics.COCO_RULES if rule != "meteor" or self._settings.meteor]
        if reason is None:
            figures |= caption_metrics.coco_figures(self._captions, self._settings)
        else:
            not_computed |= dict.fromkeys(rules, reason)
        return Scored(figures, not_computed=not_computed)


def references(answer: AnswerRecord) -> tuple[str, ...]:
    """Return the true captions: the line's truth, one or a list (also as JSON text), or its fields caption0, ...

    Raises:
        ValueError: There is none.
    """
    truth = decoded(answer.truth) if isinstance(answer.truth, str) else answer.truth
    if isinstance(truth, list) and truth and all(isinstance(item, str) and item.strip() for item in truth):
        return tuple(truth)
    numbered = {int(match[1]): name for name in answer.fields if (match := _NUMBERED.fullmatch(name))}
    captions = [answer.fields[numbered[number]] for number in sorted(numbered)]
    if answer.truth is None and captions and all(isinstance(caption, str) for caption in captions):
        return tuple(captions)
    return (answer.label,)


_CLASS_RULES = ("beyond_class_precision", "beyond_class_recall")
_WORD = re.compile(r"[^\W_]+")
_FUNCTION = re.compile(
    "a|an|and|are|at|be|by|for|from|has|have|here|in|is|it|its|of|on|or|s|some|that|the|there|these|this|to|with"
)
_SHARED = 2  # references that must hold a word for the answer to be expected to
_SETTLED = 0.5  # of a class's images


class ClassWords:
    """Collects captions of images with a known class."""

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
        """Return both rules; none if no class is known."""
        if not self._captions:
            return {}
        settled = self._settled()
        shares = Shares(_CLASS_RULES, replicates=self._settings.replicates, seed=self._settings.seed)
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
