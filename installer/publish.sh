#!/usr/bin/env bash
# Puts the published Native AOT binary at OUT/evident, with the publish log beside it. What the build lacks it installs.
# Usage: installer/publish.sh OUT
set -euo pipefail
cd "$(dirname "$0")/.."

[ $# -eq 1 ] || { echo "publish.sh: name the folder for the binary, for example: installer/publish.sh out" >&2; exit 64; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
installer/needs.sh build

# A package registry may lack the net10.0 Native AOT runtime pack; net9.0's is there (docs/adr/0001).
framework=${EVIDENT_AOT_FRAMEWORK:-net9.0}
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
work=${EVIDENT_PUBLISH_ARTIFACTS:-artifacts/publish}
dotnet publish src/Evident/Evident.csproj -c Release -r linux-x64 \
  -p:EvidentFramework="$framework" -p:EvidentAot=true --artifacts-path "$work" -o "$work/out" 2>&1 | tee "$out/publish.log" >&2
install -m 0755 "$work/out/evident" "$out/evident"
echo "$out/evident"
