"""A laboratory for human activity recognition with wearable sensors. Nothing heavy is imported here."""

__version__ = "0.1.0"
