#!/usr/bin/env bash
# Fail if anything generated differs from its source: tools/verify.sh PYTHON
set -euo pipefail
python=$1
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
"$python" -m videofleet_api.generate "$made"
for folder in crds charts/videofleet/crds; do
    if ! diff -r "$made" "$folder"; then
        echo "$folder is not what api/ says: run \`make generate\` and commit the result" >&2
        exit 1
    fi
done
echo "verify: crds/ and charts/videofleet/crds are what api/ says"
