"""Batches as in the original's evaluation, with the attention mask that it lacks."""

from collections.abc import Sequence

import torch
from PIL import Image

from geochat.checkpoints import Checkpoint
from geochat.engines.writing import Detokenizer
from geochat.prompts import Message, chat_messages


def answer_batch(
    checkpoint: Checkpoint, prompts: Sequence[str], images: Sequence[Image.Image], tokens: int
) -> list[str]:
    """Return greedy answers of one batch, padded on the left; every question's image is encoded."""
    processor, model = checkpoint.processor, checkpoint.model
    tokenizer = processor.tokenizer
    tokenizer.padding_side = "left"
    texts = [
        processor.apply_chat_template(
            chat_messages([Message("user", prompt)], with_image=True), add_generation_prompt=True
        )
        for prompt in prompts
    ]
    inputs = processor(text=texts, images=list(images), add_special_tokens=False, padding=True, return_tensors="pt")
    padding = range(len(tokenizer), model.config.get_text_config().vocab_size)
    special = set(tokenizer.all_special_ids) - {tokenizer.eos_token_id}
    with torch.inference_mode():
        output = model.generate(
            **inputs.to(model.device, model.dtype),
            max_new_tokens=tokens,
            do_sample=False,
            suppress_tokens=sorted(special | set(padding)),
            pad_token_id=0,
        )
    return [_text(checkpoint, row.tolist()) for row in output[:, inputs["input_ids"].shape[1] :]]


def _text(checkpoint: Checkpoint, ids: list[int]) -> str:
    detokenizer = Detokenizer(checkpoint.processor.tokenizer)
    return ("".join(map(detokenizer.feed, ids)) + detokenizer.close()).lstrip()
