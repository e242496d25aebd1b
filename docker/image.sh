#!/usr/bin/env bash
# The image of a release, byte for byte the same from the same commit, base, Debian packages and version of buildah:
#   docker/image.sh build DIR           the commit's image for this machine's processor (PLATFORM=linux/arm64: for another)
#   docker/image.sh join DIR DIR DIR…   one list, in the first folder, of images built for several processors
# Prints the digest. A folder holds what `skopeo copy --all --preserve-digests dir:DIR docker://…` publishes.
# BASE names the base image, SOURCE_DATE_EPOCH the one time that everything gets, which is the commit's if it is not set.
set -euo pipefail

usage() {
  sed -n '2,6p' "$0" | sed 's/^# \{0,1\}//' >&2
  exit 2
}

stop() {
  echo "image: $1" >&2
  exit 1
}

build() {
  local to=$1 id
  work=$(mktemp -d "${TMPDIR:-/tmp}/gate-image.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  cd "${0%/*}/.."
  REVISION=$(git rev-parse --verify 'HEAD^{commit}')
  TORCH=${TORCH:-cpu}
  export TORCH REVISION
  # The commit's own files and modes, whatever else lies here and whatever the umask is.
  mkdir "$work/context"
  git -c tar.umask=0022 archive --format=tar HEAD .dockerignore docker gate pyproject.toml README.md LICENSE requirements \
    | tar -x --same-permissions --no-same-owner -C "$work/context"
  . docker/settings.sh
  named TORCH REVISION BASE
  # Docker's format: OCI's has no health check. One layer on the base: each release has another time, so that no layer would
  # be the one of an earlier release.
  buildah build --format docker --layers=false --no-cache --network host ${PLATFORM:+--platform "$PLATFORM"} \
    --timestamp "${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}" "${arguments[@]}" \
    --iidfile "$work/id" --file "$work/context/docker/Dockerfile" "$work/context" >&2
  id=$(< "$work/id")
  buildah push --quiet --format v2s2 --compression-format gzip "$id" "dir:$work/image" >&2
  "${PYTHON:-python3}" -I docker/unnamed.py "$work/image"
  mv "$work/image" "$to"
  buildah rmi "$id" > /dev/null
}

join() {
  local to=$1 part twice
  shift
  list=gate-list-$$
  buildah manifest create "$list" > /dev/null
  trap 'buildah manifest rm "$list" > /dev/null' EXIT
  for part in "$@"; do buildah manifest add "$list" "dir:$part" > /dev/null; done
  buildah manifest push --quiet --all --format v2s2 "$list" "dir:$to" >&2
  twice=$(grep -o '"architecture": *"[a-z0-9]*"' "$to/manifest.json" | grep -o '[a-z0-9]*"$' | tr -d '"' | sort | uniq -d)
  [[ -z $twice ]] || stop "the list would hold an image for $twice twice"
}

(($# >= 2)) || usage
verb=$1 to=$(realpath -m -- "$2")
shift 2
command -v buildah > /dev/null || stop "there is no buildah here; Debian, Ubuntu and Fedora have a package of that name"
[[ ! -e $to ]] || stop "$to is there already; name a new folder"
mkdir -p "${to%/*}"
case $verb:$# in
  build:0) build "$to" ;;
  join:0 | join:1) usage ;;
  join:*) join "$to" "$@" ;;
  *) usage ;;
esac
printf 'sha256:%s\n' "$(sha256sum < "$to/manifest.json" | cut -d' ' -f1)"
