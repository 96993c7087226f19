"""HTTP routes of the sidecar; each module is one blueprint."""
