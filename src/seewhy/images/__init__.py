"""Images: reading and writing them, placing heatmaps on them, and drawing overlays and figures."""
