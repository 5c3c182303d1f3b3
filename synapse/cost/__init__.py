"""Money: what queries scanned, what that costs, what more data would cost."""
