"""Caption metrics of other packages: rouge-score, nltk and coco-caption (pycocoevalcap), in the extra `eval`.

Nothing is downloaded. pycocoevalcap's tokenizer is a Java program, which runs once for all captions: the package's own
wrapper writes into the installed package and loses letters outside ASCII if the locale is C. BLEU's n-gram counts come
from the package, and the formula over their sums is implemented here, so that groups and bootstrap replicates have a
BLEU too.
"""

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from geochat.errors import DataError, SettingsError
from geochat_eval.bootstrap import Array, Figure, Shares, Sums
from geochat_eval.scorers.base import ScorerSettings

_INSTALL = "install them with `pip install 'geochat[eval]'`"
_WORDNET = "run `python -m nltk.downloader wordnet` where there is a network, or copy the corpus to ~/nltk_data/corpora"

MeteorRule = Callable[[Sequence[Sequence[str]], Sequence[str]], float]


def rouge_scorer(rules: list[str]) -> Any:  # noqa: ANN401 - the package is untyped
    """Return the scorer of rouge-score, with stemming.

    Raises:
        SettingsError: The extra is not installed.
    """
    if missing := _missing("rouge_score", "nltk"):
        raise SettingsError(f"captions are scored with {missing}, not installed here; {_INSTALL}")
    from rouge_score.rouge_scorer import RougeScorer  # noqa: PLC0415 - an extra

    return RougeScorer(rules, use_stemmer=True)


def nltk_meteor() -> tuple[dict[str, MeteorRule], dict[str, str]]:
    """Return the METEOR rules of nltk that can be computed here, and reasons why others cannot."""
    from nltk.translate.meteor_score import meteor_score  # noqa: PLC0415 - an extra

    rules: dict[str, MeteorRule] = {"meteor_nltk_without_wordnet": partial(meteor_score, wordnet=_NoSynonyms())}
    if missing := missing_wordnet():
        return rules, {"meteor_nltk": missing}
    return {"meteor_nltk": meteor_score, **rules}, {}


@cache
def missing_for_coco() -> str | None:
    """Return why the rules of coco-caption cannot be computed; None if they can."""
    if missing := _missing("pycocoevalcap"):
        return f"{missing} is not installed; {_INSTALL}"
    java = shutil.which("java")
    if java is None or subprocess.run([java, "-version"], capture_output=True, check=False).returncode:
        return "Java does not run here; install a Java runtime, version 8 or later, such as default-jre-headless"
    return None


def missing_wordnet() -> str | None:
    """Return why nltk's METEOR cannot look up synonyms; None if it can."""
    if missing := _missing("nltk"):
        return f"{missing} is not installed; {_INSTALL}"
    import nltk  # noqa: PLC0415 - an extra

    for name in ("corpora/wordnet", "corpora/wordnet.zip"):
        try:
            nltk.data.find(name)
        except LookupError:
            continue
        return None
    return f"nltk's corpus wordnet is missing; {_WORDNET}"


def summary() -> str:
    """List the metrics that can be computed here, for `geochat doctor`."""
    if missing := _missing("rouge_score", "nltk", "pycocoevalcap"):
        return f"not scored: {missing} missing; {_INSTALL}"
    parts = ["ROUGE"]
    coco = missing_for_coco()
    parts.append(f"BLEU, CIDEr, METEOR not: {coco}" if coco else "BLEU, CIDEr, METEOR with Java")
    wordnet = missing_wordnet()
    parts.append(f"nltk's METEOR only without synonyms: {wordnet}" if wordnet else "nltk's METEOR with WordNet")
    return "; ".join(parts)


class _NoSynonyms:
    """A WordNet without words."""

    def synsets(self, word: str) -> list[Any]:
        del word
        return []


def _missing(*packages: str) -> str:
    return " and ".join(package.replace("_", "-") for package in packages if find_spec(package) is None)


COCO_RULES = ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l_coco", "cider", "meteor")
_ORDER = 4  # longest n-gram of BLEU


@dataclass(frozen=True, slots=True)
class Caption:
    """A caption with its references, its groups, and its resampling unit."""

    text: str
    references: tuple[str, ...]
    groups: tuple[str, ...] = ()
    unit: str | None = None


def coco_figures(captions: Sequence[Caption], settings: ScorerSettings) -> dict[str, Figure]:
    """Compute every rule of coco-caption, by group too if it is a mean or a sum of counts.

    Raises:
        DataError: One of its Java programs fails.
    """
    captions = tokenize(captions)
    found = {**_bleu(captions, settings), **_means(captions, settings)}
    if settings.meteor:
        found["meteor"] = Figure(100 * _meteor(captions), np.nan, np.nan, len(captions))
    return found


def tokenize(captions: Sequence[Caption]) -> list[Caption]:
    """Tokenize captions: tokens separated by single spaces, lower case, without punctuation.

    Raises:
        DataError: The tokenizer fails.
    """
    from pycocoevalcap.tokenizer import ptbtokenizer  # noqa: PLC0415 - an extra

    jar = Path(ptbtokenizer.__file__).with_name(ptbtokenizer.STANFORD_CORENLP_3_4_1_JAR)
    command = ["java", "-cp", str(jar), "edu.stanford.nlp.process.PTBTokenizer"]
    command += ["-preserveLines", "-lowerCase", "-encoding", "UTF-8"]
    lines = [" ".join(text.split()) for caption in captions for text in (caption.text, *caption.references)]
    written = "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")
    done = subprocess.run(command, input=written, capture_output=True, check=False)
    tokenized = done.stdout.decode("utf-8", "replace").split("\n")[:-1]
    if done.returncode or len(tokenized) != len(lines):
        reason = done.stderr.decode("utf-8", "replace").strip()[-200:]
        raise DataError(f"the PTB tokenizer gave {len(tokenized)} lines for {len(lines)}; check Java: {reason}")
    rest = iter(" ".join(w for w in line.split() if w not in ptbtokenizer.PUNCTUATIONS) for line in tokenized)
    return [replace(c, text=next(rest), references=tuple(next(rest) for _ in c.references)) for c in captions]


def _bleu(captions: Sequence[Caption], settings: ScorerSettings) -> dict[str, Figure]:
    from pycocoevalcap.bleu.bleu_scorer import BleuScorer  # noqa: PLC0415 - an extra

    scorer = BleuScorer(n=_ORDER)
    for caption in captions:
        scorer += (caption.text, list(caption.references))
    sums = Sums(2 * _ORDER + 2, replicates=settings.replicates, seed=settings.seed)
    for caption, counts in zip(captions, scorer.ctest, strict=True):
        closest = min((abs(length - counts["testlen"]), length) for length in counts["reflen"])[1]
        sums.add([*counts["correct"], *counts["guess"], counts["testlen"], closest], caption.groups, caption.unit)
    sizes = _sizes(captions)
    return {
        f"bleu_{order}/{group}" if group else f"bleu_{order}": sums.figure(values, sizes[group], [group])
        for group in ("", *sums.groups)
        for order, values in enumerate(_bleu_of(sums.of(group)), start=1)
    }


def _bleu_of(sums: Array) -> Iterator[Array]:
    """Yield BLEU-1 to BLEU-4 of sums (R, 10): matches and n-grams by order, length, reference length."""
    correct, guess, (length, closest) = sums[:, :_ORDER], sums[:, _ORDER : 2 * _ORDER], sums[:, -2:].T
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.log((correct + 1e-15) / (guess + 1e-9))  # the package's own guards against zero
        penalty = np.minimum(0, 1 - closest / np.maximum(length, 1e-15))
    for order in range(1, _ORDER + 1):
        yield np.exp(logs[:, :order].mean(axis=1) + penalty)


def _means(captions: Sequence[Caption], settings: ScorerSettings) -> dict[str, Figure]:
    """Return ROUGE-L and CIDEr, which are means over captions."""
    from pycocoevalcap.cider.cider import Cider  # noqa: PLC0415 - an extra
    from pycocoevalcap.rouge.rouge import Rouge  # noqa: PLC0415

    references, texts = _by_number(captions)
    rouge = Rouge().compute_score(references, texts)[1]
    worded = any(reference for caption in captions for reference in caption.references)
    cider = Cider().compute_score(references, texts)[1] if worded else np.zeros(len(captions))
    shares = Shares(("rouge_l_coco", "cider"), replicates=settings.replicates, seed=settings.seed)
    for caption, overlap, consensus in zip(captions, rouge, cider, strict=True):
        shares.add([(overlap, 1), (consensus, 1)], caption.groups, caption.unit)
    return shares.figures()


def _meteor(captions: Sequence[Caption]) -> float:
    from pycocoevalcap.meteor.meteor import Meteor  # noqa: PLC0415 - an extra

    meteor = Meteor()
    # "|||" ends a field of its input; the package takes it out of captions and forgets the references
    captions = [replace(c, references=tuple(r.replace("|||", "") for r in c.references)) for c in captions]
    try:
        return float(meteor.compute_score(*_by_number(captions))[0])
    except (OSError, ValueError) as error:
        reason = meteor.meteor_p.stderr.read().decode("utf-8", "replace").strip()[-200:]
        raise DataError(f"METEOR failed ({error}); leave it out with --no-meteor, or check Java: {reason}") from error
    finally:
        meteor.meteor_p.stdout.close()
        meteor.meteor_p.stderr.close()


def _by_number(captions: Sequence[Caption]) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    """Return references and captions in the package's format."""
    references = {number: list(caption.references) for number, caption in enumerate(captions)}
    return references, {number: [caption.text] for number, caption in enumerate(captions)}


def _sizes(captions: Sequence[Caption]) -> dict[str, int]:
    """Count the captions of each group, and all of them under ""."""
    sizes: dict[str, int] = {}
    for caption in captions:
        for group in ("", *caption.groups):
            sizes[group] = sizes.get(group, 0) + 1
    return sizes
