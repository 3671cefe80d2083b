#!/usr/bin/env bash
# Measures prompts on UC Merced with the bundled dual encoder and writes the table and the figure of docs/clip.md.
# Stopped at any moment, it goes on where it was. Choices are made with the default split, val; test is run once.
set -euo pipefail
imagery=$(realpath "${1:?usage: train/runs/prompts.sh IMAGERY [val|test] [OUT]}")
split="${2:-val}"
out=$(realpath -m "${3:-runs/prompts}")
cd "$(dirname "$0")/../.."
python -m geochat_train.prompts.study --imagery "$imagery" --out "$out" --split "$split" --docs docs
