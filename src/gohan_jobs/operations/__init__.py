"""What an operator does to a deployment: retry, cancel, release, dump, load."""
