#!/usr/bin/env bash
# Starts the three services and waits until each is healthy. HTTPS_PORT is the host's port for partners, 443 unless
# deploy/.env says otherwise.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/functions

accept_no_arguments "$@"
require_docker_engine

say "starting the services"
compose up -d --force-recreate "${services[@]}"
for service in "${services[@]}"; do
    wait_until_healthy "$service"
done
published=$(compose port reverse-proxy 3000)
say "partners reach https://login.example.com and https://api.example.com on port ${published##*:} of this machine"
say "next: scripts/4-run-client.sh"
