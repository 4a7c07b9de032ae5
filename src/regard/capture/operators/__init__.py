"""Attention as a linear operator, for each way that it can be stored."""

from regard.capture.operators.dense import DenseOperator
from regard.capture.operators.flex import FlexOperator
from regard.capture.operators.linear import LinearOperator
from regard.capture.operators.sampled import SampledOperator
from regard.capture.operators.softmax import SoftmaxOperator

__all__ = ["DenseOperator", "FlexOperator", "LinearOperator", "SampledOperator", "SoftmaxOperator"]
