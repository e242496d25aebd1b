#!/usr/bin/env bash
# What the composite action runs: one check, and what the workflow shows of it. Inputs arrive as environment variables and
# are only ever quoted arguments. The gate runs in the image that was named, else as a `gate` on the PATH, else as one that
# is installed from the action's own files with locked dependencies.
set -euo pipefail

stop() { # CODE SENTENCE: a fixed one, with nothing that a user or a registry wrote
  printf '::error title=gate::%s\n' "$2"
  # What stands last in the file counts.
  printf 'decision=flagged\nexit-code=%s\n' "$1" >> "${GITHUB_OUTPUT:-/dev/null}"
  exit "$1"
}

case $INPUT_FAIL_ON in flagged | never) ;; *) stop 2 "fail-on must be flagged or never" ;; esac
case $GATE_DEVICE in auto | cpu | cuda) ;; *) stop 2 "device must be auto, cpu or cuda" ;; esac
[[ -n $INPUT_MODEL && $INPUT_MODEL != -* ]] || stop 2 "model must name a version, such as models:/NAME/VERSION"
[[ -n $GATE_REPORT_DIR && $GATE_REPORT_DIR != -* ]] || stop 2 "report-dir must name a directory"

token=${GATE_GITHUB_TOKEN:-}
unset GATE_GITHUB_TOKEN # the check has no use for it
for name in GATE_SAMPLES GATE_POLICY GATE_BANK GATE_TRACKING_URI GATE_REPORT_URL; do
  [[ -n ${!name} ]] || unset "$name"
done

# ------------------------------------------------------------------------------------------------ in an image
SCAN=(GATE_POLICY GATE_BANK GATE_SEED GATE_DEVICE GATE_DEADLINE GATE_MEMORY GATE_THREADS GATE_ALLOW_CODE GATE_ISOLATION)

in_image() { # NETWORK VARIABLE… -- [docker's arguments] -- gate's arguments
  local network=$1 arguments=()
  shift
  while [[ $1 != -- ]]; do
    if [[ -n ${!1:-} ]]; then arguments+=(--env "$1"); fi
    shift
  done
  shift
  while [[ $1 != -- ]]; do arguments+=("$1") && shift; done
  shift
  docker run --rm --init --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
    --user "$(id -u):$(id -g)" --env HOME=/tmp --network "$network" \
    --volume "$PWD:$PWD:ro" --volume "$report:$report" --workdir "$PWD" \
    "${arguments[@]}" "$INPUT_IMAGE" "$@"
}

registry() { # pull and publish: the registry's credentials, the network, and no candidate's code
  local variables names
  mapfile -t names < <(compgen -e | grep -E '^(GATE|MLFLOW|AWS|AZURE)_')
  variables=("${names[@]}")
  [[ $1 == publish ]] || mapfile -t variables < <(printf '%s\n' "${names[@]}" | grep -v '^GATE_SIGNING_KEY')
  in_image "$INPUT_CONTAINER_NETWORK" "${variables[@]}" -- -- "$@"
}

check_in_image() {
  local gpu=() code=0
  if [[ $GATE_DEVICE == cuda ]] || { [[ $GATE_DEVICE == auto ]] && nvidia-smi > /dev/null 2>&1; }; then
    gpu=(--gpus all) # where cuda was asked for and there is none, docker or the gate says so and ends
  fi
  registry pull "$INPUT_MODEL" --to "$report" || return
  # What looks at the candidate has no network and no secret.
  in_image none "${SCAN[@]}" -- "${gpu[@]}" -- scan "$report" || return
  in_image none "${SCAN[@]}" -- -- judge "$report" || code=$?
  if [[ $GATE_MARK == true && $code -le 1 ]]; then
    registry publish "$report" || code=$?
  fi
  return "$code"
}

report_from_image() {
  local files=() name
  for name in GITHUB_OUTPUT GITHUB_STEP_SUMMARY GITHUB_EVENT_PATH; do
    [[ -z ${!name:-} ]] || files+=(--volume "${!name}:${!name}")
  done
  mapfile -t names < <(compgen -e | grep -E '^GITHUB_(API_URL|SERVER_URL|REPOSITORY|RUN_ID|REF|OUTPUT|STEP_SUMMARY|EVENT_PATH)$')
  in_image "$INPUT_CONTAINER_NETWORK" "${names[@]}" GATE_GITHUB_TOKEN GATE_REPORT_URL GATE_COMMENT -- "${files[@]}" -- "$@"
}

# ------------------------------------------------------------------------------------------------ installed
install() {
  local venv=${RUNNER_TEMP:-/tmp}/gate-venv source=$GITHUB_ACTION_PATH
  local pip=("$venv/bin/python" -m pip --disable-pip-version-check install --quiet)
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || stop 3 "the gate needs Python 3.11 or newer"
  # Chained, because `set -e` is off in a function whose failure is asked for.
  python3 -m venv "$venv" \
    && "${pip[@]}" --require-hashes -r "$source/requirements/runtime.lock" \
    && "${pip[@]}" -r "$source/requirements/torch.txt" \
    && "${pip[@]}" --no-deps --no-build-isolation -e "$source" \
    && PATH=$venv/bin:$PATH
}

# ------------------------------------------------------------------------------------------------ the check
code=0
if [[ -n $INPUT_IMAGE ]]; then
  mkdir -p "$GATE_REPORT_DIR"
  report=$(cd "$GATE_REPORT_DIR" && pwd)
  check=(check_in_image) show=(report_from_image)
else
  command -v gate > /dev/null || install || stop 3 "the gate could not be installed: the log above says why"
  report=$GATE_REPORT_DIR
  check=(gate check "$INPUT_MODEL") show=(gate)
fi

# Whatever the check prints, the runner reads no command in it.
quiet=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
printf '::stop-commands::%s\n' "$quiet"
"${check[@]}" || code=$?
printf '\n::%s::\n' "$quiet"
((code <= 3)) || code=3 # killed, or an engine that did not start it

[[ -z $token ]] || export GATE_GITHUB_TOKEN=$token
"${show[@]}" report github "$report" --exit-code "$code" || stop 3 "the check could not be shown: the log above says why"

[[ $code != 1 || $INPUT_FAIL_ON != never ]] || exit 0
exit "$code"
