# One image for all processes of the service; by default `pylon up`, which runs all of them.

FROM python:3.11.13-slim-bookworm@sha256:86adf8dbadc3d6e82ee5dd2c74bec2e1c2467cdad47886280501df722372d2e1 AS build
WORKDIR /src
COPY requirements/bootstrap.txt requirements/build.txt requirements/service.txt requirements/
# The build tools are in a separate environment, which is not copied to the final image.
# Bytecode is compiled here: the file system of a running container may be read-only.
ENV PYC_INVALIDATION_MODE=UNCHECKED_HASH
RUN python -m venv /opt/build \
    && /opt/build/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
        --require-hashes -r requirements/bootstrap.txt -r requirements/build.txt \
    && python -m venv --without-pip /opt/pylon \
    && /opt/build/bin/uv pip install --no-cache --python /opt/pylon/bin/python \
        --require-hashes --compile-bytecode -r requirements/service.txt
COPY pyproject.toml README.md CHANGELOG.md LICENSE ./
COPY distributions/client distributions/client
COPY pylon_client pylon_client
COPY pylon pylon
COPY bridge bridge
COPY pylon_devnet pylon_devnet
RUN /opt/build/bin/uv build --quiet --wheel --no-build-isolation --python /opt/build/bin/python \
        --out-dir /tmp/wheels distributions/client \
    && /opt/build/bin/uv build --quiet --wheel --no-build-isolation --python /opt/build/bin/python \
        --out-dir /tmp/wheels \
    && /opt/build/bin/uv pip install --no-cache --python /opt/pylon/bin/python \
        --no-deps --compile-bytecode /tmp/wheels/*.whl

FROM python:3.11.13-slim-bookworm@sha256:86adf8dbadc3d6e82ee5dd2c74bec2e1c2467cdad47886280501df722372d2e1
# A new volume gets the owner of the folder of the image at its mount point. A wallet folder may
# be mounted below /root, so others need the execute permission on /root, but not read.
# The base image has a standard library without bytecode, and a pip, which is not needed.
RUN groupadd --gid 1000 pylon \
    && useradd --uid 1000 --gid 1000 --no-create-home --home-dir /tmp pylon \
    && install --directory --owner=1000 --group=1000 /data /nats-access /nats-data \
    && chmod 711 /root \
    && rm -rf /usr/local/bin/pip* /usr/local/lib/python3.11/site-packages/* \
    && python -m compileall -q --invalidation-mode unchecked-hash -x '/(test|tests|lib2to3|idlelib)/' \
        "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
COPY --from=build /opt/pylon /opt/pylon
ENV PATH=/opt/pylon/bin:$PATH \
    HOME=/tmp \
    BITTENSOR_RUNTIME_CACHE_DIR=/tmp/runtime-cache \
    PYLON_HOME=/data \
    PYLON_BITTENSOR_WALLET_PATH=/root/.bittensor/wallets \
    PYLON_LOG_FORMAT=auto \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /data
USER 1000:1000
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-m", "pylon.cli.container_health"]
CMD ["pylon", "up", "--host", "0.0.0.0"]
# Last, so that a new revision does not invalidate the cached layers above.
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Pylon" \
    org.opencontainers.image.description="A gateway between Bittensor validators, miners and the chain" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.base.name="docker.io/library/python:3.11.13-slim-bookworm"
