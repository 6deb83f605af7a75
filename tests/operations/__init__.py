"""What operators may do, on both databases."""
