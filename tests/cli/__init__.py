"""The command line, in this process and as processes of its own."""
