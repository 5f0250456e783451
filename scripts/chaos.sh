#!/usr/bin/env bash
# The chaos suite with the python that has the test packages.
# usage: scripts/chaos.sh SEED SECONDS   (either may be empty: ten seeds, 130 s each)
set -euo pipefail
cd "$(dirname "$0")/.."
python=python3
if /usr/bin/python3 -c 'import google.protobuf' 2>/dev/null; then python=/usr/bin/python3; fi
scripts/browser.sh  # ws, for the clients in JavaScript
exec "$python" tests/chaos/chaos.py ${1:+--seed "$1"} ${2:+--seconds "$2"}
