"""Orchestrators: what drives stacks."""
