"""The parameter-mapping language."""
