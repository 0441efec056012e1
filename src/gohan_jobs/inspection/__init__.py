"""Looking at a running system, without touching it: nothing here writes."""
