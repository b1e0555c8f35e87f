#!/usr/bin/env bash
# Runs the partner's client: it gets a token with its certificate, calls the API with both, and prints the answer.
# The exit code is the client's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/functions

accept_no_arguments "$@"
require_docker_engine

compose run --rm client
