#!/usr/bin/env bash
# Run test suites and say in one line each what ran: tools/test.sh PYTHON SUITE...
set -uo pipefail
python=$1
shift
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
started=$SECONDS
failed=0

needs_cluster() { [[ " $* " == *" cluster "* || " $* " == *" faults "* || " $* " == *" e2e "* ]]; }

run_suite() {
    if [[ $1 == faults ]]; then
        bash tools/faults.sh "$python" "$folder" ${K:+-k "$K"}
    else
        "$python" -m pytest "tests/$1" -q -p no:cacheprovider
    fi
}

if needs_cluster "$@"; then
    echo "== a local Kubernetes for the tests"
    # Tests restart parts of the cluster, so it has to be the one whose processes are ours.
    export VIDEOFLEET_CLUSTER=local
    python3 -m localcluster up || exit 1
    KUBECONFIG=$(python3 -m localcluster kubeconfig) || exit 1
    KUBECTL=$(python3 -m localcluster kubectl) || exit 1
    HELM=$(python3 -m localcluster helm) || exit 1
    export KUBECONFIG KUBECTL HELM
fi
for suite in "$@"; do
    began=$SECONDS
    echo "== $suite"
    run_suite "$suite" 2>&1 | tee "$folder/$suite"
    status=${PIPESTATUS[0]}
    ((status == 0)) || failed=1
    echo "$suite: $(tail -n 1 "$folder/$suite" | tr -d '=') (${suite} suite, $((SECONDS - began)) s, exit $status)" >>"$folder/summary"
done
echo "== summary"
cat "$folder/summary"
echo "all suites: $((SECONDS - started)) s"
if ((failed)); then
    echo "Some tests failed; run one suite alone with: tools/test.sh $python SUITE"
else
    echo "All passed. Next: make demo"
fi
exit "$failed"
