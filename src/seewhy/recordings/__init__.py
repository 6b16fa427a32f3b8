"""Volumes, signals and videos: reading them, and placing heatmaps on their grids."""
