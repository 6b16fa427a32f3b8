"""The middle of the pipeline: from a plan and inputs to raw heatmaps."""
