"""What a contract suite raises."""


class ContractViolation(AssertionError):  # noqa: N818 - a violation is what it is
    """A contract is broken. The message names who, which check, what was found, and the fix."""
