#!/bin/sh
# Writes the lock files anew from the parts' pyproject.toml files: versions and hashes, never an index's address.
# Locked versions stay while they satisfy the requirements; `locks/update.sh --upgrade` takes the newest ones.
#
# Third-party packages only: the parts are installed from the checkout with `pip install --no-deps`.
set -eu

cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}
[ -x "$uv" ] || uv=uv
upgrade=${1:-}
export UV_SYSTEM_CERTS=1

lock() {
    file=locks/$1
    shift
    "$uv" pip compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
        --no-emit-package videofleet-api --no-emit-package videofleet-archive --no-emit-package videofleet-cli \
        --no-emit-package videofleet-gateway --no-emit-package videofleet-kube --no-emit-package videofleet-operator \
        --no-emit-package videofleet-worker \
        --python-version 3.11 --python-platform x86_64-unknown-linux-gnu \
        --output-file "$file" $upgrade "$@" >/dev/null
    echo "$file: $(grep -c '==' "$file") packages"
}

lock gateway.txt gateway/pyproject.toml
lock operator.txt operator/pyproject.toml
lock worker-cpu.txt worker/pyproject.toml --extra cpu
lock worker-cuda.txt worker/pyproject.toml --extra cuda locks/worker-cuda.in
lock build.txt locks/build.in
lock dev.txt pyproject.toml --group dev locks/dev.in
lock bench.txt locks/bench.in
lock bench-norfair.txt locks/bench-norfair.in
