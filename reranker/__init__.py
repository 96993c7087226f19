"""The read side: everything that answers, and everything that learns to answer better."""
