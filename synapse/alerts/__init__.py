"""alerts.yml: what somebody has to be told, whom, by which way, and how often."""
