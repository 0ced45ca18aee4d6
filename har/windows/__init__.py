"""Recordings to the windows of a fold: store, segmentation, splits, and the guard against leakage."""
