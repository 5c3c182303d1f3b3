"""`python -m synapse`."""

from synapse.cli import main

main()
