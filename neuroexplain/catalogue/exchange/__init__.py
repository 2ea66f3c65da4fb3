"""Neurons out of a catalogue and into one, as records that stand by themselves."""
