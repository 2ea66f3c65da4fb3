"""What became of the neurons, as rows: runs, calls, explanations, simulations, scores."""
