"""The findings: scores of finished studies as small CSV files, and `docs/findings.md`, made of nothing but these.

    python -m docs.findings collect RUNS    finished studies → docs/results/*.csv
    python -m docs.findings insert          docs/results/*.csv → docs/findings.md and its figures
    python -m docs.findings check RUNS      runs against docs/results/expected.csv; exit code 1 where they differ
    python -m docs.findings times           how long each study takes on two cores

`reproduce.sh` calls them.
"""
