"""Scorers: simulation and truth to score, one file each."""
