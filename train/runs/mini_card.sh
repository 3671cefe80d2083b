#!/usr/bin/env bash
# Measures a model for its card: every figure with its interval, n and what stands beside it, in OUT/card.md. With
# SPLIT=val (the default) choices are made; SPLIT=test is run once, for a model that ships. Stopped, it resumes.
set -euo pipefail
imagery=$(realpath "${1:?usage: [SPLIT=val|test] train/runs/mini_card.sh IMAGERY OUT [MODEL]}")
out=$(realpath -m "${2:?usage: [SPLIT=val|test] train/runs/mini_card.sh IMAGERY OUT [MODEL]}")
split=${SPLIT:-val}
ucm=(--images "$imagery/ucm" --split "$split")
model=(${3:+--model "$3"})
run() { geochat eval run "$1" --out "$out/$2" --no-report "${model[@]}" "${@:3}"; }

run ucmerced scene "${ucm[@]}"
run ucm-captions captions "${ucm[@]}"
run ucm-captions captions.canned "${ucm[@]}" --canned "$out/scene"
run refer refer "${ucm[@]}"
run refer-absent refer-absent "${ucm[@]}"
run identify identify "${ucm[@]}"
for kind in presence comparison count; do
  run $kind $kind "${ucm[@]}"
  run $kind $kind.blind "${ucm[@]}" --blind
done
for kind in refer refer-absent identify presence comparison count describe; do
  run $kind synthetic-$kind --scenes 200 --limit 600
done
for kind in presence comparison count; do
  run $kind synthetic-$kind.blind --scenes 200 --limit 600 --blind
done
run refer synthetic-refer.held-out --scenes 200 --limit 600 --wording held-out
if [ "$split" = test ]; then
  for set in dota planes; do
    run refer $set --images "$imagery/evaluation-only/$set" --questions "$imagery/evaluation-only/$set/boxes.jsonl"
  done
fi
runs=()
for folder in "$out"/*/; do
  case $folder in *.blind/ | *.canned/) ;; *) runs+=("${folder%/}") ;; esac
done
geochat eval card --no-meteor "${runs[@]}" | tee "$out/card.md"
