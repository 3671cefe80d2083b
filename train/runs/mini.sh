#!/usr/bin/env bash
# Makes the weights of geochat/models/first. Needs a folder with ucm/ (UC Merced with UCM-captions and boxes) and
# oam-buildings/; about an hour and a quarter on one core of a 2-core machine. Stopped at any moment, it resumes.
set -euo pipefail
imagery=$(realpath "${1:?usage: train/runs/first.sh IMAGERY [OUT]}")
out=$(realpath -m "${2:-runs/first}")
cd "$(dirname "$0")/../.."
python -m geochat_train.first --imagery "$imagery" --out "$out" --seed 7
