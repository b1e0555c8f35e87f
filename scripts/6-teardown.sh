#!/usr/bin/env bash
# Stops and removes the containers, their networks and their volumes, the token store among them. Images and certs/
# stay.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/functions

accept_no_arguments "$@"
require_docker_engine

compose down --volumes
