"""Simulators: explanation and bare tokens to expected levels, one file each."""
