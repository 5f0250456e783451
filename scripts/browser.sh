#!/usr/bin/env bash
# What tests in Node and in a browser need of npm (playwright-core, which drives Debian's chromium,
# and ws), by lock file into build/browser.  Costs nothing when it is there.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p build/browser
if cmp -s tests/browser/package-lock.json build/browser/installed-lock.json; then exit 0; fi
cp tests/browser/package.json tests/browser/package-lock.json build/browser/
(cd build/browser && npm ci --no-audit --no-fund --loglevel=error)
cp tests/browser/package-lock.json build/browser/installed-lock.json
