"""Normalisation, the subject of the project: where it stands (plan) and what it computes (layers)."""
