"""What a run leaves to be looked at: ledger, status, logs, metrics, anomalies, quality summary."""
