"""What arrives over the broker, handed to the handlers in batches. No rule of its own."""
