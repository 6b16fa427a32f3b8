"""Recipes that train a network, and leave it in a folder from which the explainer can explain it."""
