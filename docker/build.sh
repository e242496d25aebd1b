#!/usr/bin/env bash
# Builds the image gate:cpu or gate:cuda from this checkout (`make container`): docker/build.sh [cpu|cuda]
# Passes on, by name alone, what the machine calls for: proxies, the index that pip is set to, and TORCH_INDEX. An index
# may hold a password, and any user of a machine can list its processes.
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

settings=$("${PYTHON:-python3}" -m pip --disable-pip-version-check config list 2> /dev/null || true)

# Prints one of pip's own settings: the environment's, or else that of its files. Of several addresses those are left out
# that are folders of this disk, which mean nothing inside a build.
setting() {
  local source value word
  for source in :env: install global; do
    value=$(sed -n "s/^$source\.$1=//p" <<< "$settings")
    [[ -z $value ]] || break
  done
  value=${value#[\'\"]}
  value=${value%[\'\"]}
  for word in ${value//\\n/ }; do # pip prints a value of several lines as the two signs '\n'
    [[ $word == /* || $word == file:* ]] || printf '%s ' "$word"
  done
}

REVISION=$(git describe --always --dirty --abbrev=40 --match= 2> /dev/null || echo unknown)
export TORCH REVISION
for name in index-url extra-index-url trusted-host; do
  variable=PIP_${name^^}
  export "${variable//-/_}=$(setting "$name" | sed 's/ $//')"
done

flags=()
for name in TORCH REVISION TORCH_INDEX PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST \
  HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy; do
  [[ -z ${!name:-} ]] || flags+=(--build-arg "$name")
done
docker build --network host "${flags[@]}" --file docker/Dockerfile --tag "gate:$TORCH" . >&2
docker image inspect --format '{{.Size}}' "gate:$TORCH" | awk -v image="gate:$TORCH" '{ printf "built %s: %.0f MB\n", image, $1 / 1e6 }'
