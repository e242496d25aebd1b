# Sourced by the scripts that build an image: `arguments` becomes the build arguments that the machine calls for, by name
# alone: its proxies, the index that pip is set to, TORCH_INDEX, and the names given. An index may hold a password, and
# any user of a machine can list its processes.
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

for name in index-url extra-index-url trusted-host; do
  variable=PIP_${name^^}
  export "${variable//-/_}=$(setting "$name" | sed 's/ $//')"
done

named() { # NAME…: those of the variables that are set go into `arguments`
  local name
  arguments=()
  for name in "$@" TORCH_INDEX PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST \
    HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy; do
    [[ -z ${!name:-} ]] || arguments+=(--build-arg "$name")
  done
}
