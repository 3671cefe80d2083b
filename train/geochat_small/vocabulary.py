"""SmolLM2's vocabulary, reduced to English and the grammar of regions, with added tokens.

A byte-pair tokenizer builds each token from two others by one merge. If all tokens that a kept token is built from are
kept too, the tokenizer without the other merges encodes a word whose tokens are all kept exactly as the whole one does,
and spells any other word in smaller pieces. Merges are numbered by their frequency in SmolLM2's training text, so the
first ones that spell English are kept, and those that the recipe's own words need.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from transformers import TokenizersBackend

from geochat.prompts import IMAGE_TOKEN
from geochat_mini.number_tokens import NUMBERS
from geochat_mini.shape import MARKUP

PAD, BEGIN, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
ADDED = [*MARKUP, *NUMBERS]
"""Tokens that SmolLM2 does not know: task tokens, tags and numbers. `<image>` is another."""

CONTEXT = 8192
_ENGLISH = re.compile(r"Ġ?(?:[A-Za-z]+|'[a-z]{1,2}|[.,;:!?()\"'*#/%&+=$-]{1,3})|Ċ{1,2}")  # Ġ is a space, Ċ a line break


def cut(whole: Tokenizer, size: int, texts: Iterable[str] = ()) -> TokenizersBackend:
    """Build a tokenizer of the first merges of `whole` that spell English, with the grammar's tokens added.

    Args:
        whole: SmolLM2's tokenizer.
        size: Tokens kept of it, beside its bytes and the three special ones.
        texts: Texts to encode as `whole` does, regardless of the rank of their tokens.
    """
    parts = json.loads(whole.to_str())["model"]
    merges = [(left, right) for left, right in parts["merges"]]
    made_by = {left + right: (left, right) for left, right in merges}
    needed = {token for text in texts for token in split_digits(whole).encode(text).tokens if token in made_by}
    kept = _closed(needed, made_by)
    for left, right in merges:
        if len(kept) >= size:
            break
        if _ENGLISH.fullmatch(left + right):
            more = _closed({left + right}, made_by)
            if len(kept | more) <= size:
                kept |= more
    kept_merges = [pair for pair in merges if "".join(pair) in kept]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [PAD, BEGIN, END, *alphabet, *("".join(pair) for pair in kept_merges)]
    model = {**parts, "vocab": {token: number for number, token in enumerate(tokens)}, "merges": kept_merges}
    return _finished({"model": model})


def split_digits(tokenizer: Tokenizer) -> Tokenizer:
    """Return the tokenizer with each digit split off, as in SmolLM2's training; a GGUF file does not state this."""
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    return tokenizer


def _closed(tokens: Iterable[str], made_by: dict[str, tuple[str, str]]) -> set[str]:
    """Return the tokens and all tokens they are merged from, without single bytes."""
    found: set[str] = set()
    waiting = list(tokens)
    while waiting:
        token = waiting.pop()
        if token in made_by and token not in found:
            found.add(token)
            waiting += made_by[token]
    return found


def _finished(state: dict[str, Any]) -> TokenizersBackend:
    fresh: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
    }
    fresh |= {"pre_tokenizer": None, "post_processor": None, "decoder": None}
    tokenizer = split_digits(Tokenizer.from_str(json.dumps({**fresh, **state})))
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([PAD, BEGIN, END, IMAGE_TOKEN])
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in ADDED])
    return TokenizersBackend(
        tokenizer_object=tokenizer,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
        unk_token=PAD,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
        additional_special_tokens=[IMAGE_TOKEN],
    )


def rows_of(tokenizer: TokenizersBackend, whole: Tokenizer) -> Iterator[tuple[int, list[int]]]:
    """Yield for each token its number, and the numbers in `whole` whose mean embedding initialises it.

    A token of `whole` is initialised as itself, a number as its digits, another added token as its letters; a byte that
    `whole` cannot encode as zero.
    """
    known = whole.get_vocab()
    speller = split_digits(whole)
    for token, number in tokenizer.get_vocab().items():
        if token in known:
            yield number, [known[token]]
        elif token == IMAGE_TOKEN or token in ADDED:
            yield number, speller.encode(re.sub(r"[^\w-]", "", token) or token).ids
        else:
            yield number, []
