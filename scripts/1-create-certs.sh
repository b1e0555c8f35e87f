#!/usr/bin/env bash
# Makes certs/: the root, one key per server, the partners' keys and the revocation list. What is there already is
# kept, unless it has expired. The first run compiles the programs, which takes a few minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/functions

accept_no_arguments "$@"
require_docker_engine

say "making what is missing in certs/"
build_images certs
compose run --rm certs
