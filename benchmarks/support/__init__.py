"""What several benchmarks share; `make bench` runs the scripts beside this folder only."""
