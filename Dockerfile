# The gate in a container: docs/container.md says how to run it. The classic builder's syntax only, so that any engine
# builds it. `make container` passes pip's own index settings on; without them pip asks its default index.
#
#   TORCH        cpu (the default) or cuda
#   TORCH_INDEX  where pip finds the +cpu build of torch, if not in its ordinary index
FROM debian:bookworm-slim AS dependencies
# No versions: a stable Debian keeps the one that it has last mended, and no other.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
# pip stays behind in an environment of its own: what is copied on holds no installer.
RUN python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/gate
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_PROGRESS_BAR=off
COPY requirements/runtime.lock requirements/torch.txt /build/requirements/
# Wheels alone: no package's own build code runs, and no compiler is needed.
RUN /opt/pip/bin/pip --python /opt/gate/bin/python3 install --quiet --require-hashes --only-binary :all: \
      --requirement /build/requirements/runtime.lock
# The lock holds what the CPU build needs; the CUDA build brings the CUDA libraries that it was built for.
ARG TORCH=cpu
ARG TORCH_INDEX
RUN pin="$(cat /build/requirements/torch.txt)" \
 && case "$TORCH" in \
      cpu) set -- --no-deps ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$pin+cpu" ;; \
      cuda) set -- "$pin,!=${pin#torch==}+cpu" ;; \
      *) echo "TORCH is '$TORCH'; expected cpu or cuda" >&2; exit 2 ;; \
    esac \
 && { /opt/pip/bin/pip --python /opt/gate/bin/python3 install --quiet --only-binary :all: "$@" \
 || { echo "no $TORCH build of $pin was found: see docs/container.md, 'Build'" >&2; exit 1; }; }
# Packages' own tests, and headers for a compiler that is not there: a sixth of all of it.
RUN find /opt/gate/lib -depth \( -type d -name tests -o -path '*/site-packages/torch/test' \
      -o -path '*/site-packages/torch/include' -o -path '*/site-packages/torch/bin/test_*' \) -exec rm -rf {} +

FROM dependencies AS program
COPY pyproject.toml README.md LICENSE /build/
COPY gate /build/gate
# Under a root of its own, so that a change of the gate's own code does not copy torch again.
RUN /opt/pip/bin/pip --python /opt/gate/bin/python3 install --quiet --no-deps --no-build-isolation --root /program /build
# The packaged policies under a path that does not change with Python's version.
RUN ln -rs /program/opt/gate/lib/python3*/site-packages/gate/policies /program/opt/gate/policies \
 && test -f /program/opt/gate/policies/default.yml

FROM debian:bookworm-slim
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates python3 \
 && apt-get clean && rm -rf /var/lib/apt/lists/*
COPY --from=dependencies /opt/gate /opt/gate
COPY --from=program /program /
COPY containers/health.py /opt/gate/health.py

ARG REVISION=unknown
LABEL org.opencontainers.image.title="gate" \
      org.opencontainers.image.description="Probes a candidate model for backdoors before it is promoted" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="debian:bookworm-slim"

# Home is the one place that `--read-only --tmpfs /tmp` leaves writable, for any `--user`.
ENV PATH=/opt/gate/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    LANG=C.UTF-8 \
    LOGNAME=gate \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    GIT_PYTHON_REFRESH=quiet \
    MLFLOW_DISABLE_TELEMETRY=true \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    GATE_POLICY=/opt/gate/policies/default.yml
USER 65532:65532
WORKDIR /work
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
  CMD ["/opt/gate/bin/python3", "-I", "/opt/gate/health.py"]
ENTRYPOINT ["gate"]
CMD ["--help"]
RUN ["gate", "--version"]
