"""What a catalogue is kept in: SQLite files and PostgreSQL servers, their schema, rows and values."""
