"""The `balr` command: one file per command; the work itself is done by the library."""
