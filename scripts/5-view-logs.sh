#!/usr/bin/env bash
# Shows the log of one service; without an argument, lists the services.
#
#   scripts/5-view-logs.sh SERVICE [--follow]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/functions

readonly logged=("${services[@]}" certs)

case "$#:${2:-}" in
0:)
    printf '%s\n' "${logged[@]}"
    exit 0
    ;;
1: | 2:--follow) ;;
*) help_or_usage_error "$@" ;;
esac
[[ $1 != -* ]] || help_or_usage_error "$@"
[[ " ${logged[*]} " == *" $1 "* ]] || fail_usage "there is no service '$1'; there are: ${logged[*]}"
require_docker_engine

compose logs ${2:+"$2"} "$1"
