#!/usr/bin/env bash
# Make the development environment: tools/venv.sh FOLDER LOCKFILE
set -euo pipefail
folder=$1 lock=$2

missing() { ! dpkg -s "$1" >/dev/null 2>&1; }

# The camera simulator runs with the system's Python and GStreamer; fault plans give an operator another clock; tests of
# MQTT have a broker, those of the gateway PostgreSQL; the kernel for GPUs is compiled for the processor to be tested;
# clients in JavaScript need Node, pages a browser.
wanted=()
for package in python3-gst-1.0 gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good \
    gstreamer1.0-plugins-bad faketime mosquitto postgresql g++ chromium; do
    if missing "$package"; then wanted+=("$package"); fi
done
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then wanted+=(nodejs npm); fi
if ! command -v curl >/dev/null; then wanted+=(curl); fi
if ! python3 -c 'import ensurepip' 2>/dev/null; then wanted+=(python3-venv); fi
if ((${#wanted[@]})); then
    echo "== installing from Debian: ${wanted[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${wanted[@]}" >/dev/null
fi

if [[ ! -x $folder/bin/python ]]; then
    echo "== making the Python environment in $folder"
    "${PYTHON:-python3}" -m venv "$folder"
fi
echo "== installing the packages of $lock"
if [[ ! -x $folder/bin/uv ]]; then
    grep -A40 -E '^uv==' "$lock" | awk 'NR==1 || /^ +--hash/ {print; next} {exit}' >"$folder/uv.txt"
    "$folder/bin/python" -m pip install --quiet --require-hashes -r "$folder/uv.txt"
fi
# The certificates the machine trusts, as pip takes them: a company's own authority is in no bundle of uv's.
UV_SYSTEM_CERTS=1 VIRTUAL_ENV=$folder "$folder/bin/uv" pip sync --quiet --require-hashes "$lock"

# `videofleet run` with the parts of this checkout; who installs videofleet-cli gets one of its own.
cat >"$folder/bin/videofleet" <<'LAUNCHER'
#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
PYTHONPATH=$root/api:$root/archive:$root/cli:$root/worker${PYTHONPATH:+:$PYTHONPATH} exec "$here/python" -m videofleet_clip "$@"
LAUNCHER
chmod +x "$folder/bin/videofleet"

echo "== installing the clients in JavaScript that tests use"
(cd tests/support/jsclients && npm ci --silent --ignore-scripts --no-audit --no-fund)
