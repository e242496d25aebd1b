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

case $INPUT_JUDGED_BY in base | checkout) ;; *) stop 2 "judged-by must be base or checkout" ;; esac
case $INPUT_FAIL_ON in flagged | never) ;; *) stop 2 "fail-on must be flagged or never" ;; esac
case $GATE_DEVICE in auto | cpu | cuda) ;; *) stop 2 "device must be auto, cpu or cuda" ;; esac
[[ -n $INPUT_MODEL && $INPUT_MODEL != -* ]] || stop 2 "model must name a version, such as models:/NAME/VERSION"
[[ -n $GATE_REPORT_DIR && $GATE_REPORT_DIR != -* ]] || stop 2 "report-dir must name a directory"

token=${GATE_GITHUB_TOKEN:-}
unset GATE_GITHUB_TOKEN # the check has no use for it
for name in GATE_SAMPLES GATE_POLICY GATE_BANK GATE_TRACKING_URI GATE_REPORT_URL; do
  [[ -n ${!name} ]] || unset "$name"
done
# An input that is not given leaves the job's own variable as it is.
for name in BASE AGAINST; do
  input=INPUT_$name
  [[ -z ${!input:-} ]] || export "GATE_$name=${!input}"
done

# ------------------------------------------------------------------------------------------------ in an image
SCAN=(GATE_POLICY GATE_BANK GATE_SEED GATE_DEVICE GATE_ARITHMETIC GATE_DEADLINE GATE_MEMORY GATE_THREADS GATE_ALLOW_CODE
  GATE_ISOLATION)

beside() { # fills `mounts` with what a check is told to read outside its folder, for reading alone; a bank's models with it
  local name path
  local -A seen=()
  mounts=()
  for name in GATE_POLICY GATE_SAMPLES GATE_BANK GATE_BASE GATE_AGAINST; do
    path=${!name:-}
    path=${path#file://} path=${path#directory:}
    # /opt/gate is the image's own, where its policies lie.
    [[ $path == /* && -e $path && $path != "$work"/* && $path != /opt/gate/* ]] || continue
    [[ $name != GATE_BANK ]] || path=${path%/*}
    [[ -z ${seen[$path]:-} ]] || continue
    seen[$path]=1 mounts+=(--volume "$path:$path:ro")
  done
}

in_image() { # NETWORK VARIABLE… -- [docker's arguments] -- gate's arguments
  local network=$1 arguments=() mounts
  shift
  while [[ $1 != -- ]]; do
    if [[ -n ${!1:-} ]]; then arguments+=(--env "$1"); fi
    shift
  done
  shift
  while [[ $1 != -- ]]; do arguments+=("$1") && shift; done
  shift
  beside
  docker run --rm --init --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
    --user "$(id -u):$(id -g)" --env HOME=/tmp --network "$network" \
    --volume "$work:$work:ro" --volume "$report:$report" "${mounts[@]}" --workdir "$work" \
    "${arguments[@]}" "$INPUT_IMAGE" "$@"
}

registry() { # pull and publish: the registry's credentials, the network, and no candidate's code
  local variables names
  mapfile -t names < <(compgen -e | grep -E '^(GATE|MLFLOW|AWS|AZURE)_' | grep -v '^GATE_PROBE_SEED$')
  variables=("${names[@]}")
  [[ $1 == publish ]] || mapfile -t variables < <(printf '%s\n' "${names[@]}" | grep -vE '^GATE_(MODEL_)?SIGNING_KEY')
  in_image "$INPUT_CONTAINER_NETWORK" "${variables[@]}" -- -- "$@"
}

check_in_image() {
  local gpu=() code=0
  if [[ $GATE_DEVICE == cuda ]] || { [[ $GATE_DEVICE == auto ]] && nvidia-smi > /dev/null 2>&1; }; then
    gpu=(--gpus all) # where cuda was asked for and there is none, docker or the gate says so and ends
  fi
  registry pull "$INPUT_MODEL" --to "$report" || return
  # What looks at the candidate has no network and no secret, but for the seed that its workers for code are not given.
  in_image none "${SCAN[@]}" GATE_PROBE_SEED -- "${gpu[@]}" -- scan "$report" || return
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
  # Isolated (-I): else a venv.py or pip.py in the checkout, which is the pull request's, would run in the module's place.
  local pip=("$venv/bin/python" -I -m pip --disable-pip-version-check install --quiet)
  python3 -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' || stop 3 "the gate needs Python 3.11 or newer"
  # Chained, because `set -e` is off in a function whose failure is asked for.
  python3 -I -m venv "$venv" \
    && "${pip[@]}" --require-hashes -r "$source/requirements/runtime.lock" \
    && "${pip[@]}" -r "$source/requirements/torch.txt" \
    && "${pip[@]}" --no-deps --no-build-isolation -e "$source" \
    && PATH=$venv/bin:$PATH
}

check_installed() { # of a pull request the check runs in another folder, so it is told in full where the report goes
  (cd "$work" && export GATE_REPORT_DIR=$report && exec gate check "$INPUT_MODEL")
}

# ------------------------------------------------------------------------------------------------ the base branch
base_in_image() {
  local event=()
  [[ -z ${GITHUB_EVENT_PATH:-} ]] || event=(--volume "$GITHUB_EVENT_PATH:$GITHUB_EVENT_PATH:ro")
  in_image none GATE_POLICY GATE_BANK GATE_SAMPLES GATE_BASE GATE_AGAINST GATE_REPORT_DIR \
    GITHUB_EVENT_NAME GITHUB_EVENT_PATH GITHUB_SHA -- \
    "${event[@]}" --volume "$base:$base" -- base github "$@"
}

fetch() { # COMMIT: 40 hexadecimal digits, from the run's own repository, with the job's token and no other credential
  local server=${GITHUB_SERVER_URL:-https://github.com} git=(git -c "safe.directory=$PWD") depth=() value=""
  [[ $("${git[@]}" rev-parse --is-shallow-repository) != true ]] || depth=(--depth=1)
  [[ -z $token ]] || value="AUTHORIZATION: basic $(printf 'x-access-token:%s' "$token" | base64 | tr -d '\n')"
  # The empty value takes away what the checkout may have left there: two such headers are refused.
  GIT_TERMINAL_PROMPT=0 GIT_CONFIG_COUNT=2 \
    GIT_CONFIG_KEY_0=http.$server/.extraheader GIT_CONFIG_VALUE_0="" \
    GIT_CONFIG_KEY_1=http.$server/.extraheader GIT_CONFIG_VALUE_1=$value \
    "${git[@]}" fetch --quiet --no-tags --no-recurse-submodules --no-write-fetch-head --no-auto-maintenance \
    "${depth[@]}" -- "$server/${GITHUB_REPOSITORY:-}" "$1"
}

take_base() { # of a pull request: its base's policy, samples and bank into $base/files, where the check then runs
  local commit
  commit=$("${take[@]}" --commit) || return
  if [[ $commit =~ ^[0-9a-f]{40}$ ]] && ! git -c "safe.directory=$PWD" cat-file -e "$commit^{commit}" 2> /dev/null; then
    fetch "$commit" || true # the gate says what is missing then
  fi
  "${take[@]}" --to "$base"
}

# ------------------------------------------------------------------------------------------------ the check
code=0 base_code=0 note=()
mkdir -p "$GATE_REPORT_DIR"
report=$(cd "$GATE_REPORT_DIR" && pwd) work=$PWD shown=$GATE_REPORT_DIR
base=$(mktemp -d "${RUNNER_TEMP:-/tmp}/gate-base.XXXXXX")
if [[ -n $INPUT_IMAGE ]]; then
  take=(base_in_image) check=(check_in_image) show=(report_from_image) shown=$report
else
  command -v gate > /dev/null || install || stop 3 "the gate could not be installed: the log above says why"
  take=(gate base github) check=(check_installed) show=(gate)
fi

# Whatever the check prints, the runner reads no command in it.
quiet=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
printf '::stop-commands::%s\n' "$quiet"
[[ $INPUT_JUDGED_BY != base ]] || take_base || base_code=$?
if ((base_code == 0)); then
  [[ ! -d $base/files ]] || work=$base/files
  "${check[@]}" || code=$?
  work=$PWD
fi
printf '\n::%s::\n' "$quiet"
case $base_code in
  0) ;;
  2) stop 2 "policy, samples or bank of the base branch could not be taken, or report-dir is not empty: the log above says why" ;;
  *) stop 3 "the base branch could not be read: the log above says why" ;;
esac
((code <= 3)) || code=3 # killed, or an engine that did not start it

[[ ! -s $base/note ]] || note=(--note "$(< "$base/note")")
[[ -z $token ]] || export GATE_GITHUB_TOKEN=$token
"${show[@]}" report github "$shown" --exit-code "$code" "${note[@]}" \
  || stop 3 "the check could not be shown: the log above says why"

[[ $code != 1 || $INPUT_FAIL_ON != never ]] || exit 0
exit "$code"
