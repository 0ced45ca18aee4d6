"""Normalisation: where it stands (plan), what it computes (layers), and what is doubtful about it (lint)."""
