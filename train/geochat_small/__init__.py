"""geochat-small: SmolLM2-135M-Instruct taught to see, by `geochat train projector` and `geochat train lora`.

`base` assembles the untrained model: the bundled model's tower, a new projector, SmolLM2 with the vocabulary that
`vocabulary` cuts. `conversations` writes what it is taught, from the photographs and questions of `geochat_mini`;
`text_chat` what keeps it talking. `compression` writes the form that ships, and `free_questions` asks the questions
that were written before the training. `train/runs/small.sh` runs them in order. Nothing here is in the installed
package.
"""
