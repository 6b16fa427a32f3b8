"""Recipes that train a model, and leave it in a folder from which the explainer can explain it."""
