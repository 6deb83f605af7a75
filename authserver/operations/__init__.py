"""What an operator may do: checked, audited in the same transaction, one for the command line and the console."""
