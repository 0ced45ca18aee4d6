#!/usr/bin/env bash
# Build the image and run it where there is no Docker engine: as root on Debian, with buildah and debootstrap.
#
#   docker/build-without-engine.sh [OPTION]... [-- ARGUMENTS]
#
#   --results DIR       run the image with DIR mounted at /results
#   --user UID:GID      who runs it (default 4711:4711, which has no name and no home in the image)
#   --mount SRC:DST     read-only during the build, such as pip's settings or a folder of wheels; repeatable
#   --build-arg N=V     as of `docker build`; repeatable
#   --scratch DIR       keep base, layers and image there and use them again (default: a temporary folder, removed at
#                       the end)
#
# Layers are kept where that folder's file system can be overlaid; elsewhere each would be a copy of all below it. The image
# runs in a network namespace of its own, which has nothing but loopback; with neither --results nor ARGUMENTS it is only
# built. ARGUMENTS stand after the image's name in `docker run`; without them the image's command runs.
# The base is a stand-in for the official slim Python image: Debian bookworm with its own Python 3.11 and venv module,
# from the mirror that debootstrap takes by default (or $DEBIAN_MIRROR).
set -euo pipefail
shopt -s inherit_errexit

readonly BASE=docker.io/library/python:3.11-slim-bookworm IMAGE=localhost/har-lab

results='' user=4711:4711 scratch='' run=false mounts=() places=() build_args=()
while (($#)); do
    [[ $# -gt 1 || $1 != --* || $1 == -- ]] || { echo "$1 lacks its value, or is no option; see the head of $0." >&2 && exit 2; }
    case $1 in
        --results) results=$(realpath -m "$2") run=true ;;
        --user) user=$2 ;;
        --mount) mounts+=(--volume "$2:ro") && places+=("${2#*:}") ;;
        --build-arg) build_args+=(--build-arg "$2") ;;
        --scratch) scratch=$(realpath -m "$2") ;;
        --) shift && run=true && break ;;
        *) echo "$1 is not an option; the head of $0 lists them." >&2 && exit 2 ;;
    esac
    shift 2
done
cd "$(dirname "$0")/.." # the build context

if [[ -z $scratch ]]; then
    scratch=$(mktemp -d)
    trap 'umount --recursive "$scratch/storage/overlay" 2>/dev/null || true; rm -rf --one-file-system "$scratch"' EXIT
fi
mkdir -p "$scratch"

can_overlay() {
    local place status
    place=$(mktemp -d -p "$scratch")
    mkdir "$place"/{lower,upper,work,all}
    mount -t overlay none -o "lowerdir=$place/lower,upperdir=$place/upper,workdir=$place/work" "$place/all" 2>/dev/null
    status=$?
    ((status)) || umount "$place/all"
    rm -rf --one-file-system "$place"
    return "$status"
}

if can_overlay; then driver=overlay layers=true; else driver=vfs layers=false; fi

store() { # buildah with storage of its own
    local command=$1
    shift
    buildah --storage-driver "$driver" --root "$scratch/storage" --runroot "$scratch/runroot" "$command" "$@"
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
    local container command=() volume=() seconds=$SECONDS status=0
    if [[ -n $results ]]; then
        volume=(--volume "$results:/results")
        [[ -e $results ]] || install -d -o "${user%:*}" -g "${user#*:}" "$results"
    fi
    container=$(store from --pull-never "$IMAGE")
    mapfile -t command < <(words Entrypoint && if (($#)); then printf '%s\n' "$@"; else words Cmd; fi)
    echo "Running as $user without a network: ${command[*]}"
    # Chroot isolation keeps the network of whoever calls it, so the caller gets one with nothing but loopback.
    export -f store
    export scratch driver
    # shellcheck disable=SC2016 # expanded by the inner shell
    unshare --net -- bash -c 'ip link set lo up && store run "$@"' store \
        --isolation chroot --user "$user" "${volume[@]}" "$container" -- "${command[@]}" || status=$?
    store rm "$container" >/dev/null
    echo "Ended after $((SECONDS - seconds)) s with exit code $status."
    if [[ -n $results ]]; then
        echo "Owners and number of the files in $results:"
        find "$results" -type f -printf '%u:%g (%U:%G)\n' | sort | uniq -c
    fi
    return "$status"
}

words() { # one word of the image's Entrypoint or Cmd a line
    store inspect --type image --format "{{range .OCIv1.Config.$1}}{{println .}}{{end}}" "$IMAGE" | sed '/^$/d'
}

store inspect --type image "$BASE" >/dev/null 2>&1 || make_base
revision=$(git describe --always --exclude '*' --abbrev=40 --dirty=+changes 2>/dev/null || true) # none outside a checkout
store bud --isolation chroot --pull-never --layers="$layers" --build-arg REVISION="$revision" "${mounts[@]}" "${build_args[@]}" --tag "$IMAGE" .
((${#places[@]} == 0)) || forget_mounts
echo "Size of the image: $(store images --format '{{.Size}}' "$IMAGE")"
if $run; then
    run_image "$@"
fi
