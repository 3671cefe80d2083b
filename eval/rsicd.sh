#!/usr/bin/env bash
# Captions of RSICD's test photographs against a canned baseline: the most frequent training caption of the class that the model names.
#
#     eval/rsicd.sh IMAGERY OUT [MODEL]
#
# IMAGERY holds more/aid-rsicd/. Runs that are finished are not asked again.
set -euo pipefail
imagery=$1 out=$2
model=(${3:+--model "$3"})
photographs=$imagery/more/aid-rsicd

mkdir -p "$out"
python "$(dirname "$0")/rsicd.py" "$photographs" "$out" ${3:+"$3"}
questions=(--questions "$out/dataset_rsicd.json" --images "$photographs" --split test)
[ -f "$out/captions/report.json" ] || geochat eval run rsicd --out "$out/captions" "${questions[@]}" "${model[@]}"
[ -f "$out/canned/report.json" ] ||
    geochat eval run rsicd --out "$out/canned" "${questions[@]}" --answers "$out/canned.jsonl"
echo "A: model, B: canned"
geochat eval compare "$out/captions" "$out/canned" --no-meteor
