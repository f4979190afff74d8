#!/bin/sh
# Fills fuzz/corpus with the fixtures of the tests. The first characters of an input choose what it is read as; any_bytes.rs,
# which the tests share with the targets, says how.
set -eu
cd "$(dirname "$0")"
root=..
seed() { # target, prefix, file
    mkdir -p "corpus/$1"
    { printf '%s' "$2"; cat "$3"; } >"corpus/$1/$(printf '%s' "$2-$3" | tr -c 'A-Za-z0-9' _)"
}
at=0
for protocol in openai_chat anthropic_messages gemini_generate bedrock_converse openai_responses; do
    for case in "$root/tests/wire/$protocol"/*/; do
        for file in "$case"request.json "$case"response.json "$case"error-*.json "$case"stream.*; do
            [ -f "$file" ] || continue
            case "$file" in
            *request.json) kind=0 ;;
            *response.json) kind=1 ;;
            *error-*) kind=2 ;;
            *) kind=3 ;;
            esac
            seed decoders "$at$kind" "$file"
            [ "$kind" = 2 ] || seed translate "$at$kind" "$file"
            [ "$kind" != 3 ] || seed frames 0 "$file"
        done
    done
    at=$((at + 1))
done
# Requests of TensorZero's surface, in its two forms.
python3 - "$root"/tests/parity/*/requests.json <<'PYTHON'
import json, sys
for path in sys.argv[1:]:
    for number, request in enumerate(json.load(open(path))):
        for face in ("50", "60") if "body" in request else ():
            case = path.split("/")[-2]
            open(f"corpus/decoders/{face}-{case}-{number}", "w").write(face + json.dumps(request["body"]))
PYTHON
for file in "$root"/tests/config/*.yaml "$root"/tests/table/*.yaml; do
    seed config "" "$file"
done
# Conditions and routes, a line each.
mkdir -p corpus/rules
sed -n 's/^ *\(when .*\)$/\1/p' "$root"/tests/config/*.yaml "$root"/tests/table/*.yaml | sort -u | while IFS= read -r line; do
    printf '0%s' "$line" >"corpus/rules/$(printf '%s' "$line" | cksum | tr -c '0-9\n' _)"
done
