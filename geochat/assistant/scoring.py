"""Scores of regions."""

import math
from collections.abc import Iterable

from geochat.dialects import Region
from geochat.engines import TokenScore


def region_score(region: Region, tokens: Iterable[TokenScore]) -> float | None:
    """The geometric mean of the probabilities of the tokens that wrote a region's coordinates and its phrase.

    It lies between 0 and 1, and is comparable between regions of different length. A phrase counts for each of its
    boxes; the marks around it do not count. It says how sure the model was of what it wrote, which is not how
    likely that is to be right: it is not calibrated.

    Args:
        region: As the parser read it.
        tokens: What each token added to the text.

    Returns:
        None where the engine gives no token scores.
    """
    spans = [span for span in (region.span, region.phrase_span) if span is not None]
    logprobs = [token.logprob for token in tokens if any(_writes(token, *span) for span in spans)]
    return math.exp(math.fsum(logprobs) / len(logprobs)) if logprobs else None


def _writes(token: TokenScore, start: int, end: int) -> bool:
    """Return whether a token wrote any of the characters from `start` to `end`, or the first bytes of one."""
    return token.start < end and (token.end > start or token.start == token.end >= start)
