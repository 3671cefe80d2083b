"""Captions against one or several references.

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

- `beyond_class_precision`, `beyond_class_recall`, where the line's `scene` names the class: see `class_words`.

What pycocoevalcap computes needs Java, `meteor_nltk` the WordNet corpus of nltk; nothing is ever downloaded.
Groups are the line's `size_group`.
"""

import re
from collections.abc import Sequence

from geochat_eval.bootstrap import Figure, Shares
from geochat_eval.formats import Answer, decoded
from geochat_eval.scorers import caption_tools, coco
from geochat_eval.scorers.base import Scored, ScorerSettings
from geochat_eval.scorers.class_words import ClassWords

_NUMBERED = re.compile(r"caption_?(\d{1,3})")
_ROUGE = {"rouge_1": "rouge1", "rouge_l": "rougeL"}


class CaptionScorer:
    """Captions of regions or images. Holds the captions: n-grams are weighed over all of them."""

    def __init__(self, settings: ScorerSettings) -> None:
        self._settings = settings
        self._rouge = caption_tools.rouge_scorer(list(_ROUGE.values()))
        self._meteor, self._no_wordnet = caption_tools.nltk_meteor()
        self._rules = (*_ROUGE, *self._meteor)
        self._shares = Shares(self._rules, replicates=settings.replicates, seed=settings.seed)
        self._captions: list[coco.Caption] = []
        self._class_words = ClassWords(settings)

    def add(self, answer: Answer) -> float:
        """Count one answer; its `rouge_l`."""
        size = answer.group("size_group") or ""
        truths, scene = references(answer), answer.group("scene")
        if scene is not None:
            self._class_words.add(scene, answer.text, truths, answer.unit_name)
        return self.add_text(answer.text, truths, [size] if size.isalpha() else [], answer.unit_name)

    def add_text(self, text: str, truths: Sequence[str], groups: Sequence[str], unit: str | None) -> float:
        """Count one caption against its references; its `rouge_l`."""
        rouge = self._rouge.score_multi(truths, text)
        words = [truth.split() for truth in truths]
        shares = [rouge[name].fmeasure for name in _ROUGE.values()]
        shares += [score(words, text.split()) for score in self._meteor.values()]
        self._shares.add([(share, 1) for share in shares], groups, unit)
        self._captions.append(coco.Caption(text, tuple(truths), tuple(groups), unit))
        return float(rouge["rougeL"].fmeasure)

    def result(self) -> Scored:
        """Figures, and which rules could not be computed here."""
        figures: dict[str, Figure] = {**self._shares.figures(), **self._class_words.figures()}
        not_computed = dict(self._no_wordnet)
        reason = caption_tools.missing_for_coco()
        rules = [rule for rule in coco.RULES if rule != "meteor" or self._settings.meteor]
        if reason is None:
            figures |= coco.figures(self._captions, self._settings)
        else:
            not_computed |= dict.fromkeys(rules, reason)
        return Scored(figures, not_computed=not_computed)


def references(answer: Answer) -> tuple[str, ...]:
    """The true captions: the line's truth, one or a list (JSON in a text too), or its fields caption0, caption1, ...

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
