"""One thin file a command. Each has `main(args) -> exit code`; the only room that reaches across the house."""
