"""Reviews: a file of their own, beside the catalogue that they are about."""
