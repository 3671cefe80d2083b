"""What the caption rules stand on: packages of the extra `eval`, Java, WordNet. Nothing here downloads anything."""

import shutil
import subprocess
from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib.util import find_spec
from typing import Any

from geochat.errors import SettingsError

_INSTALL = "install them with `pip install 'geochat[eval]'`"
_WORDNET = "run `python -m nltk.downloader wordnet` where there is a network, or copy the corpus to ~/nltk_data/corpora"

Meteor = Callable[[Sequence[Sequence[str]], Sequence[str]], float]


def rouge_scorer(rules: list[str]) -> Any:  # noqa: ANN401 - the package is untyped
    """The scorer of rouge-score, with stemming.

    Raises:
        SettingsError: The extra is not installed.
    """
    if missing := _missing("rouge_score", "nltk"):
        raise SettingsError(f"captions are scored with {missing}, not installed here; {_INSTALL}")
    from rouge_score.rouge_scorer import RougeScorer  # noqa: PLC0415 - an extra

    return RougeScorer(rules, use_stemmer=True)


def nltk_meteor() -> tuple[dict[str, Meteor], dict[str, str]]:
    """The METEOR rules of nltk that can be computed here, and why the others cannot."""
    from nltk.translate.meteor_score import meteor_score  # noqa: PLC0415 - an extra

    rules: dict[str, Meteor] = {"meteor_nltk_without_wordnet": partial(meteor_score, wordnet=_NoSynonyms())}
    if missing := missing_wordnet():
        return rules, {"meteor_nltk": missing}
    return {"meteor_nltk": meteor_score, **rules}, {}


@cache
def missing_for_coco() -> str | None:
    """Why the rules of coco-caption cannot be computed, None where they can."""
    if missing := _missing("pycocoevalcap"):
        return f"{missing} is not installed; {_INSTALL}"
    java = shutil.which("java")
    if java is None or subprocess.run([java, "-version"], capture_output=True, check=False).returncode:
        return "Java does not run here; install a Java runtime, version 8 or later, such as default-jre-headless"
    return None


def missing_wordnet() -> str | None:
    """Why nltk's METEOR cannot look up synonyms, None where it can."""
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


def finding() -> str:
    """What can be computed here, for `geochat doctor`."""
    if missing := _missing("rouge_score", "nltk", "pycocoevalcap"):
        return f"not scored: {missing} missing; {_INSTALL}"
    parts = ["ROUGE"]
    coco = missing_for_coco()
    parts.append(f"BLEU, CIDEr, METEOR not: {coco}" if coco else "BLEU, CIDEr, METEOR with Java")
    wordnet = missing_wordnet()
    parts.append(f"nltk's METEOR only without synonyms: {wordnet}" if wordnet else "nltk's METEOR with WordNet")
    return "; ".join(parts)


class _NoSynonyms:
    """A WordNet that knows no word."""

    def synsets(self, word: str) -> list[Any]:
        del word
        return []


def _missing(*packages: str) -> str:
    return " and ".join(package.replace("_", "-") for package in packages if find_spec(package) is None)
