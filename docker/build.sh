#!/usr/bin/env bash
# Builds the image gate:cpu or gate:cuda from this checkout (`make container`): docker/build.sh [cpu|cuda]
# Passes on what the machine calls for: docker/settings.sh says what.
set -euo pipefail
cd "${0%/*}/.."

not_run() {
  echo "build: NOT RUN: $1"
  exit 1
}

case "${1:-cpu}" in
  cpu | cuda) TORCH=${1:-cpu} ;;
  *) echo "usage: docker/build.sh [cpu|cuda]" >&2; exit 2 ;;
esac
command -v docker > /dev/null || not_run "there is no docker client here"
docker info --format '{{.ServerVersion}}' > /dev/null || not_run "no Docker engine answers"

. docker/settings.sh
REVISION=$(git describe --always --dirty --abbrev=40 --match= 2> /dev/null || echo unknown)
export TORCH REVISION
named TORCH REVISION BASE
docker build --network host "${arguments[@]}" --file docker/Dockerfile --tag "gate:$TORCH" . >&2
docker image inspect --format '{{.Size}}' "gate:$TORCH" | awk -v image="gate:$TORCH" '{ printf "built %s: %.0f MB\n", image, $1 / 1e6 }'
