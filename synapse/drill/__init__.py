"""Recovery, tried: gold and silver rebuilt from bronze, and held against the running warehouse."""
