"""What the repository promises before any program runs: packaging, containers, make targets, test databases."""
