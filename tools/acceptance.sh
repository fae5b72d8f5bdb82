#!/usr/bin/env bash
# Run the tests that show lines of the reference interfaces, and print each line with what became of it:
# tools/acceptance.sh PYTHON SUITE...
set -uo pipefail
python=$1
results=$(mktemp)
trap 'rm -f "$results"' EXIT
PYTEST_ADDOPTS="--acceptance=$results ${PYTEST_ADDOPTS:-}" bash tools/test.sh "$@"
ran=$?
echo "== lines of docs/acceptance/reference-apis.md"
"$python" -m tests.support.acceptance "$results" || exit 1
exit "$ran"
