"""schedules.yml: what runs when, checked once; every way of running is derived from it."""
