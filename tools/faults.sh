#!/usr/bin/env bash
# Run fault plans against the API server of $KUBECONFIG, two at a time: tools/faults.sh PYTHON FOLDER [PYTEST ARGUMENT...]
# Each half's output lies in FOLDER; the last line is the sum of both. FAULTS=all: every plan, else the short ones.
set -uo pipefail
python=$1 folder=$2
shift 2
limit=${FAULTS_MINUTES:-90}
pids=()
for shard in 0 1; do
    FAULTS_SHARD=$shard/2 timeout --kill-after=30 "${limit}m" \
        "$python" -m pytest tests/faults -v -p no:cacheprovider "$@" >"$folder/faults-$shard" 2>&1 &
    pids+=($!)
done
status=0
for shard in 0 1; do
    wait "${pids[$shard]}"
    code=$?
    # 5: of a selection, the other half may have all.
    if ((code != 0 && code != 5)); then status=$code; fi
    ((code != 124)) || echo "the plans were not done within $limit minutes" >>"$folder/faults-$shard"
done
grep -hE '(PASSED|FAILED|ERROR) +\[' "$folder"/faults-[01] | sed -E 's/ +\[.*//' | sort | uniq
if ((status)); then sed -n '/^=* \(FAILURES\|ERRORS\)/,$p' "$folder"/faults-[01]; fi
passed=$(cat "$folder"/faults-[01] | grep -cE ' PASSED +\[')
failed=$(cat "$folder"/faults-[01] | grep -cE ' (FAILED|ERROR) +\[')
echo "$passed plans passed, $failed failed in ${SECONDS} s"
exit "$status"
