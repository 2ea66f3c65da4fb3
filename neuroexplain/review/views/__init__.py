"""What pages show, made from the catalogue's records: no web, no database."""
