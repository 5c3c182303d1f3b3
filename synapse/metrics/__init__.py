"""The metric catalogue: what each number means, and asking for it by any dimension."""
