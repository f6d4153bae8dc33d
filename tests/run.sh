#!/usr/bin/env bash
# Runs every test: the page's own, the unit and integration tests (JIT, net10.0), and the black-box tests against the
# published Native AOT binary. Installs what they lack. Ends with one line "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1

installer/needs.sh build || exit 1
installer/needs.sh test || exit 1

passed=0
failed=0
broken="" # what failed, told again at the end, where whoever reads only the end finds it
count() { # adds a suite's figures; a suite that printed none counts as one failure
  if [ -z "$1" ] || [ -z "$2" ]; then failed=$((failed + 1)); else passed=$((passed + $1)); failed=$((failed + $2)); fi
}

failures() { # results, suite
  echo "failed in $2:"
  [ -f "$1" ] || { echo "  the runner left no results."; return; }
  tr '\n' ' ' < "$1" | grep -oE '<UnitTestResult [^>]*outcome="Failed"[^>]*>' | grep -oE 'testName="[^"]*"' | head -n 20
  tr '\n' ' ' < "$1" | grep -oE '<Message>[^<]{0,600}' | head -n 20
}

# A suite's result file is the only thing that counts: a runner that dies before writing it is a failure.
dotnet_suite() { # project [filter [name of the results]]
  local name results
  name=${3:-$(basename "$1" .csproj)}
  results=artifacts/results/$name.trx
  rm -f "$results"
  echo "== $name" >&2
  dotnet test "$1" -c Release --artifacts-path artifacts/test ${2:+--filter "$2"} --logger "trx;LogFileName=$PWD/$results" --logger "console;verbosity=normal" >&2
  local status=$? p="" f=""
  if [ -f "$results" ]; then
    p=$(grep -o '<Counters [^>]*' "$results" | grep -o ' passed="[0-9]*"' | tr -dc 0-9)
    f=$(grep -o '<Counters [^>]*' "$results" | grep -o ' failed="[0-9]*"' | tr -dc 0-9)
  fi
  [ "$status" -eq 0 ] || [ "${f:-0}" -gt 0 ] || f=1
  [ "${f:-0}" -eq 0 ] || broken+=$(failures "$results" "$name")$'\n'
  count "$p" "$f"
}

echo "== page" >&2
page=$(cd src/Evident.Web/ui && npm ci --no-audit --no-fund >&2 && npm test 2>&1 | tee /dev/stderr)
count "$(echo "$page" | grep -oE '(# |ℹ )pass [0-9]+' | tr -dc 0-9)" "$(echo "$page" | grep -oE '(# |ℹ )fail [0-9]+' | tr -dc 0-9)"
broken+=$(echo "$page" | grep -E '^ *(not ok|✖)' | head -n 20)

dotnet_suite tests/Evident.Tests/Evident.Tests.csproj
EVIDENT_DIFFERENTIAL=10000 dotnet_suite tests/Evident.Tests/Evident.Tests.csproj "FullyQualifiedName~DifferentialTests.Both_verifiers_give_the_same_exit_code_for_mutated" Differential

echo "== publish" >&2
if EVIDENT_BINARY=$(installer/publish.sh artifacts/out); then
  export EVIDENT_BINARY EVIDENT_PUBLISH_LOG=$PWD/artifacts/out/publish.log
  (cd tests/clients && npm ci --no-audit --no-fund >&2) || failed=$((failed + 1))
  dotnet_suite tests/Evident.AppTests/Evident.AppTests.csproj
else
  echo "the binary could not be published; the black-box tests did not run." >&2
  failed=$((failed + 1))
fi

[ -z "${broken//[[:space:]]/}" ] || echo "$broken"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
