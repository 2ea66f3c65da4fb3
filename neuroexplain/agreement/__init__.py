"""Statistics of what people say about explanations: pure functions of arrays, no I/O."""
