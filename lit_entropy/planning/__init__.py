"""Planning on paper: memory, operations and time of a run before any of it is spent."""
