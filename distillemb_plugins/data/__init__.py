"""Reading tagged files and text sets, finding them, and checking what they share."""
