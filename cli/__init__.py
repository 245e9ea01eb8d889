"""The `forgery` command. Every heavy import is inside a command, so that `forgery --help` starts at once."""
