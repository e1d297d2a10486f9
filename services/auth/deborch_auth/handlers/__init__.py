"""What the service does, one function for each command: rules from `domain`, state in `store`. No HTTP."""
