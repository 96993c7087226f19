"""A shop with its own secured cluster: what its services do, and what its clients may see."""
