"""What only the Athena target needs: Glue's tables over bronze, and the run's own tables."""
