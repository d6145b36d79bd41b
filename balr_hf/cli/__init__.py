"""The `balr` command: one file a command, thin over the library."""
