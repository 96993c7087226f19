"""Where recommendations come from: candidate sources that serving and training share. Pure."""
