"""Searches: a tree of conditions becomes rows, counts and rankings."""
