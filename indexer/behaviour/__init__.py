"""What shoppers did: from UBI events to journal and state."""
