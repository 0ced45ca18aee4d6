#!/usr/bin/env bash
# Every table and figure of README.md and docs/findings.md again, and the scores of docs/learners.md, from raw data.
#
#   ./reproduce.sh --only spar     what needs no download: SPAR comes with a dependency of the project
#   ./reproduce.sh                 all three data sets
#
#   --only NAME        spar, hapt or usc-had; repeatable (default: all)
#   --quick            one repeat of the short placement study and nothing else: the table of the README
#   --sources DIR      where HAPT.zip and USC-HAD.zip lie (default: they are downloaded)
#   --runs DIR         where runs go (default runs/); what is made of them goes to DIR/docs
#   --jobs N           worker processes (default: the cores)
#   --plan             the runs that each study would make, and for how long; nothing is run
#
# It needs what `make install` installs; the README's pictures need Chromium and `make lint`'s environment too.
#
# It can be stopped at any time, by Ctrl-C, a kill or a power cut: the same line goes on with the runs that are missing.
# It ends with 1 when a study lacks runs, or when a score is further from docs/results/expected.csv than the tolerance
# there. The project's own docs/ are not touched: compare docs/results with DIR/docs/results, docs/findings.md with
# DIR/docs/findings.md. How long each study takes on two cores is printed first (python -m docs.findings times).
#
# What else has numbers in docs/, and what makes it: docs/performance.md `make bench` (half an hour on a quiet machine),
# the simulations of docs/statistics.md `.venv/bin/pytest -m slow -rP tests/evaluation/test_simulation.py` (some minutes).
set -euo pipefail
cd "$(dirname "$0")"

only=() quick='' sources='' runs=runs plan=()
jobs=$(getconf _NPROCESSORS_ONLN)
while (($#)); do
    case $1 in
        --quick) quick=yes && shift && continue ;;
        --plan) plan=(--dry-run) && shift && continue ;;
        --only | --sources | --runs | --jobs) [[ $# -gt 1 ]] || { echo "$1 lacks its value." >&2 && exit 2; } ;;
        *) echo "$1 is not an option; the head of $0 lists them." >&2 && exit 2 ;;
    esac
    case $1 in
        --only) only+=("$2") ;;
        --sources) sources=$2 ;;
        --runs) runs=$2 ;;
        --jobs) jobs=$2 ;;
    esac
    shift 2
done
for name in "${only[@]}"; do
    [[ $name =~ ^(spar|hapt|usc-had)$ ]] || { echo "--only $name: it is spar, hapt or usc-had." >&2 && exit 2; }
done
[[ -z $quick ]] || only=(spar)

# The environment of `make study` where there is one, else the Python that is active.
python=${PYTHON:-$([[ -x .venv/bin/python ]] && echo .venv/bin/python || command -v python3 || echo python3)}
har=("$python" -m har)
short=()

wanted() { # NAME: whether a data set was asked for
    [[ ${#only[@]} -eq 0 || " ${only[*]} " == *" $1 "* ]]
}

prepare() { # NAME ARCHIVE: raw files → a verified store (below a minute; what is prepared is left as it is)
    if wanted "$1"; then
        if [[ -n $sources ]]; then "${har[@]}" prepare "$1" --source "$sources/$2"; else "${har[@]}" prepare "$1" --download; fi
    fi
}

study() { # FILE DATA_SET [OPTION]...: the runs that are missing, then verdicts and report; a study that fails stops no other
    if wanted "$2"; then
        echo "== $1 on $2"
        "${har[@]}" study "configs/studies/$1.yaml" --data "$2" --runs "$runs" --jobs "$jobs" "${@:3}" "${plan[@]}" ||
            short+=("$1 on $2")
    fi
}

"$python" -m docs.findings times # as they took where they were published, some of them on a busy machine

# 1. Raw data.
wanted spar && "${har[@]}" prepare spar
prepare hapt HAPT.zip
prepare usc-had USC-HAD.zip

# 2. The README's table and pictures: one repeat of the short placement study (4 minutes).
study bn-placement spar --short --repeats 1 --probes
if [[ -z ${plan[*]} ]] && wanted spar; then
    if command -v chromium chromium-browser google-chrome >/dev/null && "$python" -c 'import playwright' 2>/dev/null; then
        "$python" -m docs.screenshots "$runs/bn-placement/spar" --into "$runs/docs/images"
    else
        echo "The README's pictures are left out: they need Chromium and playwright (pip install --group test)."
    fi
fi

# 3. The findings: three repeats of each; most layers are measured in one, apart, since a finished run cannot be given
#    probes. The one on convergence tries learning rates for every variant.
if [[ -z $quick ]]; then
    study bn-placement spar --short --repeats 3 --probes
    study bn-placement usc-had --short --repeats 3
    study bn-placement hapt --short --repeats 3 --folds kfold --fold-count 10
    study small-batch spar --short --repeats 3
    study small-batch hapt --short --repeats 3 --folds kfold --fold-count 10
    study bn-statistics spar --repeats 3
    study bn-statistics usc-had --repeats 3
    study bn-statistics hapt --repeats 3 --folds kfold --fold-count 10
    study norm-kind spar --short --repeats 3
    study norm-kind hapt --short --repeats 3 --folds kfold --fold-count 10
    study norm-kind usc-had --short --repeats 3
    study convergence spar --short --repeats 3
    runs=$runs/probed study small-batch spar --short --repeats 1 --probes
    runs=$runs/probed study bn-placement usc-had --short --repeats 1 --probes
    runs=$runs/probed study bn-placement hapt --short --repeats 1 --folds kfold --fold-count 10 --probes
    # The recommended learner (docs/learners.md).
    study recommended spar --repeats 3
    study recommended usc-had --short --repeats 3
    study recommended hapt --short --repeats 3 --folds kfold --fold-count 10 --set data.null=unlabelled
    runs=$runs/six study recommended hapt --repeats 3 --folds official \
        --set 'data.activities=[walking,walking-upstairs,walking-downstairs,sitting,standing,lying]'
fi
if [[ -n ${plan[*]} ]]; then exit 0; fi

# 4. Scores against those that were published; then tables, figures and text, made of your runs.
outside=0
"$python" -m docs.findings check "$runs" "$runs/six" || outside=1
"$python" -m docs.findings --into "$runs/docs" collect "$runs" "$runs/probed" "$runs/six"
"$python" -m docs.findings --into "$runs/docs" insert

if ((${#short[@]})); then
    printf 'Not whole: %s\n' "${short[@]}" >&2
    exit 1
fi
exit "$outside"
