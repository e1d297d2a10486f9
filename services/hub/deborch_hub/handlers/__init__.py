"""What the hub does when it is told to: one plain function or method per command. No HTTP, no broker in here."""
