"""What every operator promises, checked against its own dense matrix and plain loops."""

import numpy as np
import torch
from tests.reference import operators as twin


def random(generator, *shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def check_operator(operator, seed):
    """Compare everything that an operator in float64 tells with its dense matrix."""
    generator = torch.Generator().manual_seed(seed)
    batch, heads, n, m = operator.shape
    matrix = operator.dense()
    close = torch.testing.assert_close
    exact = {"rtol": 1e-6, "atol": 1e-8}
    assert matrix.shape == operator.shape
    for width in (1, 3):
        v, r = random(generator, batch, heads, m, width), random(generator, batch, heads, n, width)
        close(operator.matvec(v), matrix @ v, **exact)
        close(operator.rmatvec(r), matrix.mT @ r, **exact)
    some = torch.randint(0, n, (3,), generator=generator)
    for query, rows in ((n - 1, [n - 1]), (-n, [0]), (some, some), (slice(1, None), slice(1, n))):
        close(operator.rows(query), matrix[:, :, rows], **exact)
    close(operator.row_sums().to(matrix.dtype), matrix.sum(-1, keepdim=True), **exact)
    np.testing.assert_allclose(
        operator.entropy().numpy(), twin.entropy(matrix.numpy()), rtol=1e-6, atol=1e-7
    )
    check_head_mean(operator.head_mean(), matrix.mean(1, keepdim=True), generator)


def check_head_mean(mean, matrix, generator):
    v = random(generator, matrix.shape[0], 1, matrix.shape[3], 2)
    r = random(generator, matrix.shape[0], 1, matrix.shape[2], 2)
    close, exact = torch.testing.assert_close, {"rtol": 1e-6, "atol": 1e-8}
    assert mean.shape == matrix.shape
    close(mean.dense(), matrix, **exact)
    close(mean.matvec(v), matrix @ v, **exact)
    close(mean.rmatvec(r), matrix.mT @ r, **exact)
    close(mean.rows(0), matrix[:, :, :1], **exact)
    close(mean.row_sums().to(matrix.dtype), matrix.sum(-1, keepdim=True), **exact)
