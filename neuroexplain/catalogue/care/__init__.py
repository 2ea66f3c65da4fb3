"""Looking after catalogues: checks, merges, copies, upgrades."""
