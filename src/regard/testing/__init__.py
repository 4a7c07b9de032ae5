"""Contract suites for mechanisms, ours and other people's.

Example:
    >>> regard.testing.check_mechanism("brightness_gate")

or, one test for each check:

    >>> @pytest.mark.parametrize(
    ...     ("name", "check"), regard.testing.mechanism_checks("brightness_gate")
    ... )
    ... def test_contract(name, check):
    ...     check()
"""

from regard.testing.mechanism import MechanismCheck, check_mechanism, mechanism_checks
from regard.testing.violation import ContractViolation

__all__ = ["ContractViolation", "MechanismCheck", "check_mechanism", "mechanism_checks"]
