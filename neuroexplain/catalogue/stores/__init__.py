"""The parts of `Catalogue`, one for each kind of thing that it keeps."""
