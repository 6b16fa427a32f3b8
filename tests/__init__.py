"""A package, so that no other `tests` that a tool has brought into the environment is found in its place."""
