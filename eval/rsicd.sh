#!/usr/bin/env bash
# Captions of RSICD's test photographs against a canned baseline: the most frequent training caption of the class that the model names.
#
#     eval/rsicd.sh IMAGERY OUT [MODEL]
#     SPLIT=val eval/rsicd.sh IMAGERY OUT MODEL     # for choices
#
# IMAGERY holds more/aid-rsicd/. Runs that are finished are not asked again.
set -euo pipefail
out=$2 photographs=$1/more/aid-rsicd
own=(own:boxes "$photographs/captions.jsonl" --images "$photographs" --split "${SPLIT:-test}")
model=(${3:+--model "$3"})

[ -f "$out/captions/report.json" ] || geochat eval run "${own[@]}" --questions scenes,captions --choices --out "$out" "${model[@]}"
[ -f "$out/canned/captions/report.json" ] ||
    geochat eval run "${own[@]}" --questions captions --majority-caption "$out/scenes" --out "$out/canned"
echo "A: model, B: canned"
geochat eval compare "$out/captions" "$out/canned/captions" --no-meteor
