"""Explain the neurons of language models with language models, and say what the scores mean."""

__version__ = "0.1.0"
