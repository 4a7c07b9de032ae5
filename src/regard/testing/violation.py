"""What a contract suite raises."""


class ContractViolation(AssertionError):
    """A contract is broken. The message names who, which check, what was found, and the fix."""
