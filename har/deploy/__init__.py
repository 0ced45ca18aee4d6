"""A trained run in use: exported, loaded without a trainer, fed with live samples."""
