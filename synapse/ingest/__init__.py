"""What lands becomes what is accepted: checks, consolidation, quarantine, ledger and manifest."""
