"""Subject models: the only code that loads and runs them."""

from neuroexplain.subjects.model import Subject
from neuroexplain.subjects.sites import LayerActivations, OnLayer

__all__ = ["LayerActivations", "OnLayer", "Subject"]
