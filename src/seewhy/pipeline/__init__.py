"""From checked inputs to heatmaps placed on what they explain."""
