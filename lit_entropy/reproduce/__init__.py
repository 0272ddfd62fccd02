"""Every figure of the paper in miniature, from one command."""
