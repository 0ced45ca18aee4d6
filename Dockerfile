# The project with its data and its tests, which needs a network to be built and none to run: docs/docker.md has the
# commands. Everything is in a virtual environment of its own, so any base image with Python 3.11 will do.
ARG BASE=python:3.11-slim-bookworm

# The lists of dependencies alone, so that other changes of pyproject.toml leave what is installed from them in the cache.
# The image has no browser, so the tests go without the driver of one (130 MB).
FROM ${BASE} AS requirements
WORKDIR /build
COPY pyproject.toml ./
RUN python3 -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
        > run.txt \
    && python3 -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["test"], sep="\n")' \
        | grep -v '^playwright' > test.txt

# Dependencies: layers that change with those lists and constraints.txt only, never with the source.
FROM ${BASE} AS dependencies
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY constraints.txt ./
# pip and the build backend stay in an environment that the image does not keep.
RUN python3 -m venv /opt/tools \
    && /opt/tools/bin/pip install -c constraints.txt hatchling \
    && python3 -m venv --without-pip /opt/venv
# cpu, or gpu for the build of torch that carries CUDA's libraries (several GB). TORCH_INDEX names another index than the
# device's; empty: pip's own. Without torch's dependencies, because such an index may lack what the constraints name.
ARG DEVICE=cpu
ARG TORCH_INDEX
RUN case "${DEVICE}" in \
        cpu) index=${TORCH_INDEX-https://download.pytorch.org/whl/cpu} ;; \
        gpu) index=${TORCH_INDEX-} ;; \
        *) echo "DEVICE=${DEVICE} is not known: cpu or gpu." >&2; exit 2 ;; \
    esac \
    && /opt/tools/bin/pip --python /opt/venv/bin/python install --no-deps -c constraints.txt \
        ${index:+--index-url "${index}"} torch
COPY --from=requirements /build/run.txt ./
RUN /opt/tools/bin/pip --python /opt/venv/bin/python install -c constraints.txt -r run.txt
COPY --from=requirements /build/test.txt ./
RUN /opt/tools/bin/pip --python /opt/venv/bin/python install -c constraints.txt -r test.txt \
    && /opt/tools/bin/pip --python /opt/venv/bin/python check

# The project itself, as the tree that is laid over the image's root: the package installed, and a checkout without it, so
# that the tests meet what is installed. Paths can be typed as in a checkout, because runs/… and data/… lie in the mounted
# folder. Copied files have the modes of the checkout, which may be its owner's alone to read.
FROM dependencies AS project
WORKDIR /tree/opt/har-lab
COPY . .
RUN /opt/tools/bin/hatchling build -t wheel -d /build/dist \
    && /opt/tools/bin/pip --python /opt/venv/bin/python install --no-deps --no-index --no-warn-script-location \
        --root /tree /build/dist/*.whl \
    && rm -r har \
    && ln -s /results/runs runs && ln -s /results/data/raw /results/data/prepared data && chmod -R a+rX . \
    && install -d -m 1777 /tree/results

FROM ${BASE}
# Slim Python images leave their standard library uncompiled, and nobody can write there later (pip has compiled the
# rest); 1000 is the usual first user of a Linux desktop.
RUN python3 -m compileall -q -x '/(test|tests|lib2to3|site-packages|dist-packages)/' \
        "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
    && useradd --uid 1000 --no-log-init --no-create-home --home-dir /tmp har
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=project /tree/ /
# The commit that the image is built from; runs and exported models then name it.
ARG BASE
ARG REVISION
LABEL org.opencontainers.image.title="har-lab" \
      org.opencontainers.image.description="Human activity recognition from wearable sensors: where batch normalisation belongs" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}"
# HOME, USER and the cache of matplotlib are set so that any --user works, also one without a name or a home.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    USER=har \
    MPLCONFIGDIR=/tmp/matplotlib \
    HAR_COMMIT=${REVISION} \
    HAR_DATA=/results/data \
    HAR_RUNS=/results/runs
WORKDIR /opt/har-lab
USER 1000:1000
EXPOSE 8765
# `docker stop` is then what Ctrl-C is: finished runs are kept, and the same command goes on from there.
STOPSIGNAL SIGINT
ENTRYPOINT ["/opt/har-lab/docker/entrypoint.sh"]
CMD ["study", "configs/studies/bn-placement.yaml", "--short"]
