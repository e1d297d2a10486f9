"""Messages from the database to the broker. Knows neither what they mean nor who reads them."""

from deborch_hub.outbox.relay import OutboxRelay

__all__ = ["OutboxRelay"]
