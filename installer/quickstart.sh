#!/usr/bin/env bash
# From a fresh clone to a running appliance with realistic agent runs: publishes the binary, then starts `evident demo`.
# Further arguments go to the demo, for example: installer/quickstart.sh --once
set -euo pipefail
cd "$(dirname "$0")/.."

installer/publish.sh out >/dev/null
exec out/evident demo --data "${EVIDENT_DATA:-evident-data}" "$@"
