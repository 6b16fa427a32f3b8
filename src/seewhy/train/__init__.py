"""Recipes that train a model and save it in a folder that the explainer can load."""
