# One image for every process of the service: `pylon up` by default, which runs all of them.

FROM python:3.11.13-slim-bookworm@sha256:86adf8dbadc3d6e82ee5dd2c74bec2e1c2467cdad47886280501df722372d2e1 AS build
WORKDIR /src
COPY requirements/bootstrap.txt requirements/service.txt requirements/
RUN python -m venv /opt/pylon \
    && /opt/pylon/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
        --require-hashes -r requirements/bootstrap.txt \
    && /opt/pylon/bin/uv pip install --no-cache --python /opt/pylon/bin/python \
        --require-hashes -r requirements/service.txt
COPY pyproject.toml README.md CHANGELOG.md LICENSE ./
COPY pylon_client pylon_client
COPY pylon pylon
COPY bridge bridge
RUN /opt/pylon/bin/uv pip install --no-cache --python /opt/pylon/bin/python \
        --no-deps --no-build-isolation --compile-bytecode .

FROM python:3.11.13-slim-bookworm@sha256:86adf8dbadc3d6e82ee5dd2c74bec2e1c2467cdad47886280501df722372d2e1
# A volume takes its owner from the folder of the image that it is first mounted on. A wallet
# folder may be mounted below /root, which must be passed through for that and not read.
RUN groupadd --gid 1000 pylon \
    && useradd --uid 1000 --gid 1000 --no-create-home --home-dir /tmp pylon \
    && install --directory --owner=1000 --group=1000 /data /nats-access /nats-data \
    && chmod 711 /root
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
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ.get(\"PORT\", \"8000\")}/health', timeout=4)"]
CMD ["pylon", "up", "--host", "0.0.0.0"]
