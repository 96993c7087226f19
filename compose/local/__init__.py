"""The same processes without Docker, and the `hitweave` command."""
