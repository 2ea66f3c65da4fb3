"""Subject models: the only code that loads and runs them."""

from neuroexplain.subjects.model import Subject

__all__ = ["Subject"]
