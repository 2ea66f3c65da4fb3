"""The query language: a text becomes a tree of conditions."""
