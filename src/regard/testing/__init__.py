"""Contract suites for mechanisms and methods that explain, ours and other people's.

Example:
    >>> regard.testing.check_mechanism("brightness_gate")

or, one test for each check:

    >>> @pytest.mark.parametrize(
    ...     ("name", "check"), regard.testing.mechanism_checks("brightness_gate")
    ... )
    ... def test_contract(name, check):
    ...     check()
"""

from regard.testing.explainer import ExplainerCheck, check_explainer, explainer_checks
from regard.testing.mechanism import MechanismCheck, check_mechanism, mechanism_checks
from regard.testing.violation import ContractViolation

__all__ = [
    "ContractViolation",
    "ExplainerCheck",
    "MechanismCheck",
    "check_explainer",
    "check_mechanism",
    "explainer_checks",
    "mechanism_checks",
]
