"""Reports of ``lit-entropy validate``: numbers, table, plot, and paired comparisons."""
