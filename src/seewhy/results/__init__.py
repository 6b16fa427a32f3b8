"""What comes out: heatmaps, explanations, comparisons, inspections, and their figures."""
