"""A grid of settings, each with several seeds: trained, compared by seed, and drawn."""
