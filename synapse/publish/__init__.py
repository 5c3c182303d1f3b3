"""What dashboards, serving and exposures read: audited tables behind one pointer (ADR 12)."""
