#!/usr/bin/env bash
# Installs what a part of the build or the tests lacks, and nothing that is there. Debian 12 and its relatives (apt).
# Usage: installer/needs.sh build|test
set -euo pipefail

case "${1:-build}" in
  build) packages=(clang cmake libsodium-dev libsqlite3-dev libssl-dev zlib1g-dev) ;;
  test) packages=(libsodium23 libsqlite3-0 chromium strace python3 zbar-tools golang-go golang-golang-x-mod-dev) ;;
  *) echo "needs.sh: '$1' is not a set of packages; use build or test." >&2; exit 64 ;;
esac

for tool in dotnet node npm; do
  command -v "$tool" >/dev/null || { echo "needs.sh: '$tool' was not found. Install the .NET 10 SDK and Node.js 20 or newer first, then run this again." >&2; exit 1; }
done

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

run=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "needs.sh: ${missing[*]} are missing and installing them needs root. Run: apt-get install -y ${missing[*]}" >&2; exit 1; }
  run=(sudo)
fi
echo "installing: ${missing[*]}" >&2
"${run[@]}" apt-get update -qq >&2
DEBIAN_FRONTEND=noninteractive "${run[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
