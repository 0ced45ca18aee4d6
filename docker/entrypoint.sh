#!/bin/sh
# What the words after the image's name mean: a command of `har` with its arguments, as in `study …` or `har study …`; but
# `test` alone, or with arguments of pytest, is the project's own tests (the command of this name is `har test RUN`).
set -eu

if [ "${1-}" = test ]; then
    shift
    echo "har-lab: the project's own tests; the scores of a run are 'har test RUN'." >&2
    # Nothing is written here but below /tmp, whoever runs it. Later arguments win, such as -n 0.
    HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis exec python3 -m pytest -p no:cacheprovider \
        -n auto --maxprocesses 4 --dist loadfile "$@"
fi
if [ "${1-}" = har ]; then
    shift
fi
case ${1-} in
    prepare | fit | study)
        mountpoint -q /results ||
            echo 'har-lab: no folder is mounted at /results, so results end with this container: -v "$PWD/results:/results".' >&2
        ;;
esac
exec har "$@"
