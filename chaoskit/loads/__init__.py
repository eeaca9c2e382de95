"""Who uses the system: customers' journeys, driven at a rate that does not wait for answers."""
