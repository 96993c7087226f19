"""The write side: everything that changes what is stored."""
