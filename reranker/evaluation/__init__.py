"""How good an order is."""
