import pytest
from torch import nn

from regard.core.modes import evaluating


def frozen_batch_norm_net():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout())
    net.train()
    net[1].eval()
    return net


def flags(net):
    return [module.training for module in net.modules()]


def test_every_module_is_in_eval_mode_inside_and_as_before_afterwards():
    net = frozen_batch_norm_net()
    before = flags(net)
    with evaluating(net):
        assert not any(flags(net))
    assert flags(net) == before == [True, True, False, True]


def test_flags_come_back_after_an_exception():
    net = frozen_batch_norm_net()
    before = flags(net)
    with pytest.raises(KeyError), evaluating(net):
        raise KeyError
    assert flags(net) == before


def test_train_is_not_called():
    class Folds(nn.Module):
        def train(self, mode=True):
            raise AssertionError("train() was called")

    with evaluating(Folds()):
        pass
