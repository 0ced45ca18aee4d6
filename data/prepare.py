"""Prepare a data set, as `har prepare` does: python data/prepare.py spar."""

import sys

from har.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["prepare", *sys.argv[1:]]))
