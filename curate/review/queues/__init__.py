"""What people are asked next: one file a queue."""
