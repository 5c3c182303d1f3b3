"""`python -m synapse`."""

from synapse.start import main

main()
