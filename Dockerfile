# Two stages: one that installs from the hash-locked requirements, and one, from nothing, that holds
# the interpreter, its library, the agent, the list of certificate authorities and no shell.
#
# For a release, pin the base by digest. `docker buildx imagetools inspect python:3.13-slim` prints it:
#   make image PYTHON_IMAGE=python:3.13-slim@sha256:...
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS builder

# PEM text of the authority of a proxy that inspects TLS, for pip alone. The final stage never sees it.
ARG CA_PEM=""

ENV PIP_CERT=/build/pip-ca.pem \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore

WORKDIR /build

RUN set -eu; \
    cat /etc/ssl/certs/ca-certificates.crt > pip-ca.pem; \
    printf '%s\n' "$CA_PEM" >> pip-ca.pem

# The locks change less often than the code: a layer of their own. Bytecode is compiled once, below;
# as a variable pip would take --no-compile the other way round.
COPY requirements.txt requirements-build.txt requirements-sbom.txt ./
RUN set -eu; \
    python -m venv --without-pip /opt/venv; \
    python -m pip --python /opt/venv/bin/python install --no-compile --require-hashes \
      --only-binary :all: -r requirements.txt; \
    python -m venv --without-pip /build/tools; \
    python -m pip --python /build/tools/bin/python install --no-compile --require-hashes \
      --only-binary :all: -r requirements-build.txt -r requirements-sbom.txt

COPY pyproject.toml README.md LICENSE ./
COPY agent ./agent
COPY rules ./rules
COPY deploy/warehouse/*.sql ./deploy/warehouse/
RUN set -eu; \
    python -m pip --python /build/tools/bin/python wheel --no-build-isolation --no-deps --no-index \
      --wheel-dir dist .; \
    python -m pip --python /opt/venv/bin/python install --no-compile --no-deps --no-index dist/*.whl

# The file system of the final stage, collected under /rootfs.
COPY deploy/image/sbom.py ./
RUN set -eu; \
    prefix=$(python -c 'import sys; print(sys.base_prefix)'); \
    version=$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
    library="$prefix/lib/python$version"; \
    mkdir -p /rootfs/etc/ssl/certs "/rootfs$prefix/bin" "/rootfs$library" /rootfs/opt; \
    install -d -m 1777 /rootfs/tmp; \
    # the interpreter and its library, less what an agent cannot use
    cp "$prefix/bin/python$version" "/rootfs$prefix/bin/"; \
    ln -s "python$version" "/rootfs$prefix/bin/python3"; \
    ln -s "python$version" "/rootfs$prefix/bin/python"; \
    cp -a "$library/." "/rootfs$library/"; \
    cp -a /opt/venv /rootfs/opt/; \
    cd "/rootfs$library"; \
    rm -rf config-* ensurepip idlelib lib2to3 pydoc_data site-packages sitecustomize.py test turtle.py \
      turtledemo venv lib-dynload/_test* lib-dynload/_ctypes_test.* lib-dynload/xx*; \
    # what needs libraries for screens and databases, which somebody would have to keep patched
    rm -rf curses dbm sqlite3 tkinter lib-dynload/_curses* lib-dynload/_dbm.* lib-dynload/_gdbm.* \
      lib-dynload/_sqlite3.* lib-dynload/_tkinter.* lib-dynload/readline.*; \
    # of the commands the agent's alone, and the interpreter by the path that it has there
    cd /rootfs/opt/venv; \
    find bin ! -type d ! -name botkube-analytics -delete; \
    ln -s "$prefix/bin/python$version" bin/python; \
    ln -s python bin/python3; \
    # the generated client, which agent/source/api.py leaves out: a third of all bytes
    cd "/rootfs/opt/venv/lib/python$version/site-packages"; \
    rm -r kubernetes_asyncio/client/api kubernetes_asyncio/client/models; \
    # every shared library that these need, at the path where the loader looks for it
    find "/rootfs$prefix/bin" "/rootfs$library" /rootfs/opt/venv -type f \
      \( -name '*.so' -o -name '*.so.*' -o -name "python$version" \) -exec ldd {} + > /build/ldd.txt; \
    if grep 'not found' /build/ldd.txt; then exit 1; fi; \
    awk '!/:$/ { for (i = 1; i <= NF; i++) if ($i ~ /^\//) print $i }' /build/ldd.txt \
      | grep -v '^/rootfs/' | sort -u > /build/libraries.txt; \
    xargs cp -L --parents -t /rootfs < /build/libraries.txt; \
    # the list of all this, by which scanners know what they cannot see
    { cat /build/libraries.txt; echo "$prefix/bin/python$version"; } \
      | /build/tools/bin/python /build/sbom.py "/opt/venv/lib/python$version/site-packages" \
      > /rootfs/sbom.cdx.json; \
    # name look-up, the user's name, the authorities
    printf 'hosts: files dns\n' > /rootfs/etc/nsswitch.conf; \
    printf 'agent:x:65532:65532::/tmp:/nonexistent\n' > /rootfs/etc/passwd; \
    printf 'agent:x:65532:\n' > /rootfs/etc/group; \
    cp -L /etc/ssl/certs/ca-certificates.crt /rootfs/etc/ssl/certs/; \
    # nothing else can be executed; bytecode is never checked against its source: the root is read-only
    find /rootfs -name '*.py' -perm /111 -exec chmod a-x {} +; \
    find /rootfs -name __pycache__ -prune -exec rm -rf {} +; \
    python -m compileall -q -j 0 --invalidation-mode unchecked-hash -s /rootfs \
      "/rootfs$library" /rootfs/opt/venv/lib

FROM scratch

# First, because what the classic builder makes of nothing by any other step is of its own platform.
COPY --from=builder /rootfs /

ARG VERSION=0.0.0
ARG REVISION=unknown

LABEL org.opencontainers.image.title="botkube-analytics" \
      org.opencontainers.image.description="Counts what BotKube does, from its pod logs, and delivers anonymised counts to Segment" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.vendor="The botkube-analytics authors" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# PYTHONSAFEPATH: the working directory is not a place to import from.
ENV LANG=C.UTF-8 \
    PATH=/opt/venv/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt

WORKDIR /
USER 65532:65532
STOPSIGNAL SIGTERM

# What was not collected fails the build, not the first start.
RUN ["/opt/venv/bin/python", "-c", "import pkgutil, agent; [__import__(one.name) for one in pkgutil.walk_packages(agent.__path__, 'agent.')]; from agent.source import api; api.load_credentials_code()"]

ENTRYPOINT ["/opt/venv/bin/python", "-m", "agent"]
CMD ["run"]
