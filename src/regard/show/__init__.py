"""Pictures and pages of what the other parts found."""
