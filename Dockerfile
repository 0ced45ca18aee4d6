# The main comparison, re-created from this image alone: docs/docker.md has the commands.
# Everything is in a virtual environment of its own, so any base image with Python 3.11 will do.
ARG BASE=python:3.11-slim-bookworm

# Dependencies: a layer that changes with pyproject.toml and constraints.txt only, never with the source.
FROM ${BASE} AS dependencies
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY constraints.txt pyproject.toml ./
# pip and the build backend stay in an environment that the image does not keep.
RUN python3 -m venv /opt/tools \
    && /opt/tools/bin/pip install -c constraints.txt hatchling \
    && python3 -m venv --without-pip /opt/venv
# CPU builds of torch; the default build for Linux carries several GB of CUDA libraries. Empty: pip's own index.
# Without its dependencies, because that index may lack the versions that the constraints name.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN /opt/tools/bin/pip --python /opt/venv/bin/python install --no-deps -c constraints.txt \
        ${TORCH_INDEX:+--index-url "${TORCH_INDEX}"} torch
RUN python3 -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
        > requirements.txt \
    && /opt/tools/bin/pip --python /opt/venv/bin/python install -c constraints.txt -r requirements.txt \
    && /opt/tools/bin/pip --python /opt/venv/bin/python check

# The project itself, as the tree that is laid over the image's root.
FROM dependencies AS project
COPY README.md LICENSE ./
COPY har har
RUN /opt/tools/bin/hatchling build -t wheel -d dist \
    && /opt/tools/bin/pip --python /opt/venv/bin/python install --no-deps --no-index --no-warn-script-location \
        --root /tree dist/*.whl \
    && install -d -m 1777 /tree/results
WORKDIR /tree/opt/har-lab
COPY LICENSE ./
COPY configs configs
# Paths can be typed as in a checkout, because runs/… and data/… lie in the mounted folder. Copied files have the modes
# of the checkout, which may be its owner's alone to read.
RUN ln -s /results/runs runs && ln -s /results/data data && chmod -R a+rX .

FROM ${BASE}
LABEL org.opencontainers.image.title="har-lab" \
      org.opencontainers.image.description="Human activity recognition from wearable sensors: where batch normalisation belongs" \
      org.opencontainers.image.licenses="Apache-2.0"
# Slim Python images leave their standard library uncompiled, and nobody can write there later (pip has compiled the
# rest); 1000 is the usual first user of a Linux desktop.
RUN python3 -m compileall -q -x '/(test|tests|lib2to3|site-packages|dist-packages)/' \
        "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
    && useradd --uid 1000 --no-log-init --no-create-home --home-dir /tmp har
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=project /tree/ /
# HOME, USER and the cache of matplotlib are set so that any --user works, also one without a name or a home.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    USER=har \
    MPLCONFIGDIR=/tmp/matplotlib \
    HAR_DATA=/results/data \
    HAR_RUNS=/results/runs
WORKDIR /opt/har-lab
USER 1000:1000
# `docker stop` is then what Ctrl-C is: finished runs are kept, and the same command goes on from there.
STOPSIGNAL SIGINT
ENTRYPOINT ["har"]
CMD ["study", "configs/studies/bn-placement.yaml", "--short"]
