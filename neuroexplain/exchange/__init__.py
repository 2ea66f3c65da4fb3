"""Formats of the field: the records of `neuroexplain.exchanged` as files, and files as records. No database here.

A module per format, each with `write`, `read` or both. Files are written under another name and renamed when they are whole,
so that what bears a name of the format is complete. They are read a batch at a time, see `batches`.
"""
