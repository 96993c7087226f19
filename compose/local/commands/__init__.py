"""One module a subcommand, loaded by name."""
