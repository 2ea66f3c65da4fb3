"""Explainers: evidence to explanation, one file each."""
