"""Predictions to scores, contrasts and pages. Reads files only, and knows nothing of how they were made."""
