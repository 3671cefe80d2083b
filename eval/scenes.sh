#!/usr/bin/env bash
# The model that talks and the dual encoder on the same scene questions of UC Merced, side by side: accuracy of both, their
# difference with a paired 95 % interval, and how many questions each alone got right.
#
#     eval/scenes.sh IMAGERY OUT [MODEL [ENCODER]]
#     SPLIT=val eval/scenes.sh IMAGERY OUT     # for choices; the test split is run once, for a candidate that may ship
#
# IMAGERY holds ucm/. Runs that are finished are not asked again.
set -euo pipefail
imagery=$1 out=$2 split=${SPLIT:-test}
model=(${3:+--model "$3"}) encoder=(--classifier ${4:+--model "$4"})

[ -f "$out/scenes/report.json" ] ||
    geochat eval run ucmerced --out "$out/scenes" --split "$split" --images "$imagery/ucm" "${model[@]}"
[ -f "$out/scenes.classifier/report.json" ] ||
    geochat eval run ucmerced --out "$out/scenes.classifier" --split "$split" --images "$imagery/ucm" "${encoder[@]}"
echo "A: chat, B: dual encoder"
geochat eval compare "$out/scenes" "$out/scenes.classifier" --no-meteor
