"""Measurements of images and networks."""
