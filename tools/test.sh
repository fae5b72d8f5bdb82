#!/usr/bin/env bash
# Run test suites and say in one line each what ran: tools/test.sh PYTHON SUITE...
# TEST_PROCESSES: how many processes share a suite (1: one after the other, in one).
# ACCEPTANCE=only: nothing but the tests that show lines of the reference interfaces, and what became of each line.
set -uo pipefail
python=$1
shift

# Tests write many small files, each to be on the disk before they go on: in memory that costs nothing.
in_memory() { [[ -w /dev/shm ]] && (($(df --output=avail -B1M /dev/shm | tail -n 1) > 4096)); }

if in_memory; then folder=$(mktemp -d -p /dev/shm videofleet-tests-XXXXXX); else folder=$(mktemp -d); fi
trap 'rm -rf "$folder"' EXIT
# Programs that give root up find their way through it.
chmod 711 "$folder"
mkdir -m 1777 "$folder/tmp"
started=$SECONDS
failed=0
# Tests wait more than they compute: one process more than there are cores.
processes=${TEST_PROCESSES:-$(($(nproc) + 1))}
# All of them have to find the same tests in the same order, also where these are made from sets.
export PYTHONHASHSEED=${PYTHONHASHSEED:-$RANDOM}

shown=$folder/shown
: >"$shown" && chmod 666 "$shown"
export PYTEST_ADDOPTS="--acceptance=$shown ${ACCEPTANCE:+--acceptance-only} ${PYTEST_ADDOPTS:-}"

# Where all suites ran, a line that no test shows is a failure like one whose test failed.
tell_lines() {
    local everything=" unit property cluster e2e "
    for suite in $everything; do [[ " $* " == *" $suite "* ]] || return 0; done
    [[ -z ${K:-} ]] || return 0
    echo "== lines of docs/acceptance/reference-apis.md"
    "$python" -m tests.support.acceptance "$shown" --counts
}

needs_cluster() { [[ " $* " == *" cluster "* || " $* " == *" faults "* || " $* " == *" e2e "* ]]; }

run_pytest() { "$python" -m pytest -q -p no:cacheprovider --durations=10 --durations-min=5 "$@"; }

# What changes the cluster for everybody, or has little time, comes when the others are through.
run_cluster() {
    local status=0
    run_pytest tests/cluster -m "not alone" -n "$processes" || status=$?
    # 5: of the tests that were asked for, none is such a one.
    run_pytest tests/cluster -m alone || { local code=$? && ((code == 5 || (status = code))); }
    return "$status"
}

run_suite() {
    case $1 in
    faults) TMPDIR=$folder/tmp bash tools/faults.sh "$python" "$folder" ${K:+-k "$K"} ;;
    # One deployment on one node.
    e2e) run_pytest tests/e2e ;;
    cluster) TMPDIR=$folder/tmp run_cluster ;;
    *) TMPDIR=$folder/tmp run_pytest "tests/$1" -n "$processes" ;;
    esac
}

# Tests of the cluster wait most of the time: meanwhile the images that the end-to-end tests need are built. Whatever
# becomes of that, they see to their images themselves.
build_images() {
    local build='from examples.demo import deploy; from tests.support.s3 import server; '
    build+='deploy.build_images(); deploy.build_gateway(); server.build()'
    nice "$python" -c "$build" >"$folder/images" 2>&1
}

# The last line of each run of pytest, or of the fault plans.
result_of() { grep -aE '^[0-9]+ (plans )?(passed|failed|errors?|deselected)' "$1" | paste -sd ';' | sed 's/;/; /g'; }

if needs_cluster "$@"; then
    echo "== a local Kubernetes for the tests"
    # Tests restart parts of the cluster, so it has to be the one whose processes are ours.
    export VIDEOFLEET_CLUSTER=local
    python3 -m localcluster up || exit 1
    KUBECONFIG=$(python3 -m localcluster kubeconfig) || exit 1
    KUBECTL=$(python3 -m localcluster kubectl) || exit 1
    HELM=$(python3 -m localcluster helm) || exit 1
    # Tests of the archive have a real server of S3 besides the one in Python.
    VIDEOFLEET_S3_SERVER=$(python3 -m localcluster program versitygw) || exit 1
    export KUBECONFIG KUBECTL HELM VIDEOFLEET_S3_SERVER
fi
for suite in "$@"; do
    began=$SECONDS
    echo "== $suite"
    if [[ $suite == cluster && " $* " == *" e2e "* ]]; then build_images & fi
    if [[ $suite == e2e ]]; then wait; fi
    run_suite "$suite" 2>&1 | tee "$folder/$suite"
    status=${PIPESTATUS[0]}
    ((status == 0)) || failed=1
    echo "$suite: $(result_of "$folder/$suite") ($suite suite, $((SECONDS - began)) s, exit $status)" >>"$folder/summary"
done
if [[ -n ${ACCEPTANCE:-} ]]; then
    echo "== lines of docs/acceptance/reference-apis.md"
    "$python" -m tests.support.acceptance "$shown" || failed=1
else
    tell_lines "$@" || failed=1
fi
echo "== summary"
cat "$folder/summary"
echo "all suites: $((SECONDS - started)) s"
if ((failed)); then
    echo "Some tests failed; each one's line FAILED above is followed by how to run it alone,"
    echo "a whole suite alone: tools/test.sh $python SUITE"
else
    echo "All passed. Next: make demo"
fi
exit "$failed"
