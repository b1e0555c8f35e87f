#!/usr/bin/env bash
# Builds the images of all services. BUILDER_IMAGE names the image that compiles them, rust:1.95-bookworm unless
# deploy/.env says otherwise; where that cannot be pulled, scripts/builder-image makes one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/functions

accept_no_arguments "$@"
require_docker_engine

say "building the images"
# None is named, so all are built.
# shellcheck disable=SC2119
build_images
say "built; next: scripts/3-deploy.sh"
