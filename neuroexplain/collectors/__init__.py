"""One pass over a corpus: exemplars and statistics of every neuron."""

from neuroexplain.collectors.collect import collect_layers, collect_part

__all__ = ["collect_layers", "collect_part"]
