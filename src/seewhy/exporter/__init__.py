"""A model that carries its explanation: `seewhy.export` writes a model that returns its scores and its heatmaps."""
