"""The rules of coco-caption, computed by pycocoevalcap.

Its tokenizer is a Java program it brings along. We start that ourselves, once for all captions: its own wrapper writes
into the installed package and loses letters outside ASCII where the locale is C. BLEU's n-gram counts come from the
package, and the formula over their sums is written out here, so that groups and bootstrap replicates can have one too.
"""

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from geochat.errors import DataError
from geochat_eval.bootstrap import Array, Figure, Shares, Sums
from geochat_eval.scorers.base import ScorerSettings

RULES = ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l_coco", "cider", "meteor")
_ORDER = 4  # longest n-gram of BLEU


@dataclass(frozen=True, slots=True)
class Caption:
    """A caption, its references, the groups it belongs to, and what is resampled with it."""

    text: str
    references: tuple[str, ...]
    groups: tuple[str, ...] = ()
    unit: str | None = None


def figures(captions: Sequence[Caption], settings: ScorerSettings) -> dict[str, Figure]:
    """Every rule of coco-caption, by group too where it is a mean or a sum of counts.

    Raises:
        DataError: One of its Java programs fails.
    """
    captions = tokenize(captions)
    found = {**_bleu(captions, settings), **_means(captions, settings)}
    if settings.meteor:
        found["meteor"] = Figure(100 * _meteor(captions), np.nan, np.nan, len(captions))
    return found


def tokenize(captions: Sequence[Caption]) -> list[Caption]:
    """Captions as tokens separated by single spaces: lower case, punctuation left out.

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
    """BLEU-1 to BLEU-4 of summed counts, shape (R, 10): matches and n-grams by order, length, reference length."""
    correct, guess, (length, closest) = sums[:, :_ORDER], sums[:, _ORDER : 2 * _ORDER], sums[:, -2:].T
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.log((correct + 1e-15) / (guess + 1e-9))  # the package's own guards against zero
        penalty = np.minimum(0, 1 - closest / np.maximum(length, 1e-15))
    for order in range(1, _ORDER + 1):
        yield np.exp(logs[:, :order].mean(axis=1) + penalty)


def _means(captions: Sequence[Caption], settings: ScorerSettings) -> dict[str, Figure]:
    """ROUGE-L and CIDEr, which are means over captions."""
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
    """References and captions as the package takes them."""
    references = {number: list(caption.references) for number, caption in enumerate(captions)}
    return references, {number: [caption.text] for number, caption in enumerate(captions)}


def _sizes(captions: Sequence[Caption]) -> dict[str, int]:
    """How many captions each group holds, all of them under ""."""
    sizes: dict[str, int] = {}
    for caption in captions:
        for group in ("", *caption.groups):
            sizes[group] = sizes.get(group, 0) + 1
    return sizes
