"""geochat-small: visual instruction tuning of SmolLM2-135M-Instruct with `geochat train projector` and `lora`.

`base` assembles the untrained model: the bundled model's tower, a new projector, and SmolLM2 with the vocabulary
reduced by `vocabulary`. `conversations` writes the training data, from the photographs and questions of `geochat_mini`;
`text_chat` adds conversations without images. `compression` writes the distribution format, and `free_questions` asks
the questions that were written before the training. `train/runs/small.sh` runs them in order. Nothing here is in the
installed package.
"""
