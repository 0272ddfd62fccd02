"""Pictures of runs, as pure functions of their histories."""
