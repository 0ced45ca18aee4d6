#!/usr/bin/env bash
# Build the image and run it where there is no Docker engine: as root on Debian, with buildah and debootstrap.
#
#   docker/build-without-engine.sh [OPTION]... [-- HAR ARGUMENTS]
#
#   --results DIR       run the image with DIR mounted at /results, in a network namespace of its own (default: build only)
#   --user UID:GID      who runs it (default 4711:4711, which has no name and no home in the image)
#   --mount SRC:DST     read-only during the build, such as pip's settings or a folder of wheels; repeatable
#   --build-arg N=V     as of `docker build`; repeatable
#   --scratch DIR       keep base and image there and use them again (default: a temporary folder, removed at the end)
#
# The base is a stand-in for the official slim Python image: Debian bookworm with its own Python 3.11 and venv module,
# from the mirror that debootstrap takes by default (or $DEBIAN_MIRROR). Without HAR ARGUMENTS the image's command runs.
set -euo pipefail
shopt -s inherit_errexit

readonly BASE=docker.io/library/python:3.11-slim-bookworm IMAGE=localhost/har-lab

results='' user=4711:4711 scratch='' mounts=() places=() build_args=()
while (($#)); do
    [[ $# -gt 1 || $1 != --* || $1 == -- ]] || { echo "$1 lacks its value, or is no option; see the head of $0." >&2 && exit 2; }
    case $1 in
        --results) results=$(realpath -m "$2") ;;
        --user) user=$2 ;;
        --mount) mounts+=(--volume "$2:ro") && places+=("${2#*:}") ;;
        --build-arg) build_args+=(--build-arg "$2") ;;
        --scratch) scratch=$(realpath -m "$2") ;;
        --) shift && break ;;
        *) echo "$1 is not an option; the head of $0 lists them." >&2 && exit 2 ;;
    esac
    shift 2
done
cd "$(dirname "$0")/.." # the build context

if [[ -z $scratch ]]; then
    scratch=$(mktemp -d)
    trap 'rm -rf --one-file-system "$scratch"' EXIT
fi
mkdir -p "$scratch"

store() { # buildah with storage of its own: vfs needs nothing of the kernel
    local command=$1
    shift
    buildah --storage-driver vfs --root "$scratch/storage" --runroot "$scratch/runroot" "$command" "$@"
}

make_base() {
    debootstrap --variant=minbase --include=python3,python3-venv bookworm "$scratch/rootfs" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"}
    rm -rf "$scratch"/rootfs/var/cache/apt/archives/*.deb "$scratch"/rootfs/var/lib/apt/lists/*
    : >"$scratch/rootfs/etc/resolv.conf" # debootstrap puts this machine's name and resolver there
    : >"$scratch/rootfs/etc/hostname"
    local container
    container=$(store from scratch)
    store add "$container" "$scratch/rootfs" /
    store commit --rm "$container" "$BASE"
    rm -rf --one-file-system "$scratch/rootfs"
}

forget_mounts() { # what was mounted during the build leaves an empty file or folder in the image
    local container root place
    container=$(store from --pull-never "$IMAGE")
    root=$(store mount "$container")
    for place in "${places[@]}"; do
        find "${root:?}$place" -maxdepth 0 -empty -delete
    done
    store commit --rm "$container" "$IMAGE"
}

run_image() {
    local container command=() seconds=$SECONDS
    mkdir -p "$results"
    chown "$user" "$results"
    container=$(store from --pull-never "$IMAGE")
    mapfile -t command < <(words Entrypoint && if (($#)); then printf '%s\n' "$@"; else words Cmd; fi)
    echo "Running as $user without a network: ${command[*]}"
    # Chroot isolation keeps the network of whoever calls it, so the caller gets one with nothing but loopback.
    export -f store
    export scratch
    # shellcheck disable=SC2016 # expanded by the inner shell
    unshare --net -- bash -c 'ip link set lo up && store run "$@"' store \
        --isolation chroot --user "$user" --volume "$results:/results" "$container" -- "${command[@]}"
    store rm "$container" >/dev/null
    echo "Ended after $((SECONDS - seconds)) s. Owners and number of the files in $results:"
    find "$results" -type f -printf '%u:%g (%U:%G)\n' | sort | uniq -c
}

words() { # one word of the image's Entrypoint or Cmd a line
    store inspect --type image --format "{{range .OCIv1.Config.$1}}{{println .}}{{end}}" "$IMAGE" | sed '/^$/d'
}

store inspect --type image "$BASE" >/dev/null 2>&1 || make_base
store bud --isolation chroot --pull-never --layers=false "${mounts[@]}" "${build_args[@]}" --tag "$IMAGE" .
((${#places[@]} == 0)) || forget_mounts
echo "Size of the image: $(store images --format '{{.Size}}' "$IMAGE")"
if [[ -n $results ]]; then
    run_image "$@"
fi
