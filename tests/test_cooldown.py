"""So that learning rates fall as they are said to, and at no other time, wherever a run is cut."""

from dataclasses import replace

import numpy as np
import pytest

from minigan import device, nn, optim, presets, runs
from minigan.cli.main import main
from minigan.training.cooldown import cooldown

RNG = np.random.default_rng


def config(**changes):
    small = {"width": 8, "hidden": 1, "batch": 16, "samples": 20, "steps": 8, "sample_every": 100}
    return replace(presets.get("gan-2d").config, **(small | changes))


class Rates:
    """A hook that keeps g's learning rate in each step."""

    def __init__(self):
        self.seen = []

    def after_step(self, trainer, scalars):
        self.seen.append(trainer.system.optimizers["g"].lr)


class StopAfter:
    """A hook that ends the training after an iteration, as Ctrl-C does."""

    def __init__(self, iteration):
        self.iteration = iteration

    def after_step(self, trainer, scalars):
        trainer.interrupted = trainer.iteration == self.iteration


def rates(**changes):
    hook = Rates()
    _, trainer = runs.assemble(config(**changes))
    trainer.hooks = [hook]
    trainer.run(8)
    return np.array(hook.seen)


def weights(folder):
    return runs.load(folder).system.modules["g"].state_dict()


def assert_same(one, other):
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


def differ(one, other):
    return any((array != other[name]).any() for name, array in one.items())


@pytest.mark.parametrize(
    ("share", "factors"),
    [
        (0.5, [1, 1, 1, 1, 1, 3 / 4, 2 / 4, 1 / 4]),
        (0.25, [1, 1, 1, 1, 1, 1, 1, 1 / 2]),
        (1.0, [1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]),
        (0.01, [1] * 8),
    ],
)
def test_rates_fall_linearly_over_the_last_part_of_the_training(share, factors):
    schedule = cooldown(share, 8)
    np.testing.assert_allclose([schedule(i) for i in range(8)], factors, rtol=1e-12)
    np.testing.assert_allclose(rates(cooldown=share, lr_g=0.01), 0.01 * np.array(factors), rtol=1e-12)


def test_a_step_after_the_end_has_the_rate_of_the_last():
    schedule = cooldown(0.5, 8)
    assert schedule(8) == schedule(100) == schedule(7) > 0


def test_the_length_may_be_given_in_epochs():
    falling = rates(cooldown=1.0, steps=None, epochs=8 / (100_000 // 16), data="ring")
    np.testing.assert_allclose(falling, 1e-3 * np.arange(8, 0, -1) / 8, rtol=1e-12)


def test_all_optimisers_of_a_group_follow_each_from_its_own_rate():
    parts = [nn.Linear(2, 2, rng=RNG(0)) for _ in range(2)]
    group = optim.OptimizerGroup(optim.SGD(parts[0], lr=0.1), optim.SGD(parts[1], lr=0.4))
    for factor in (0.5, 0.25):
        group.scale_lr(factor)
        assert [optimizer.lr for optimizer in group.optimizers] == [0.1 * factor, 0.4 * factor]


def test_before_the_rates_fall_the_training_is_that_without_a_cooldown_and_then_it_is_not():
    trained = {}
    for share in (0.0, 0.5):
        for steps in (5, 8):
            _, trainer = runs.assemble(config(cooldown=share))
            trainer.run(steps)
            trained[share, steps] = trainer.state_dict()[0]
    assert_same(trained[0.0, 5], trained[0.5, 5])
    assert differ(trained[0.0, 8], trained[0.5, 8])


@pytest.mark.parametrize("cut", [3, 6])
def test_a_run_cut_before_or_while_rates_fall_goes_on_bit_for_bit(tmp_path, cut):
    whole = runs.train(config(cooldown=0.5), tmp_path / "whole", quiet=True)
    part = runs.train(config(cooldown=0.5), tmp_path / "part", quiet=True, hooks=[StopAfter(cut)])
    assert runs.load(part).iteration == cut
    runs.train(resume=part, quiet=True)
    assert_same(weights(whole), weights(part))


def test_a_resumed_run_may_be_given_a_cooldown(tmp_path):
    """Constant rates do not depend on the length: a cooldown can be tried from any checkpoint."""
    whole = runs.train(config(cooldown=0.5), tmp_path / "whole", quiet=True)
    begun = runs.train(config(steps=4), tmp_path / "begun", quiet=True)
    runs.train(config(cooldown=0.5), resume=begun, quiet=True)
    assert_same(weights(whole), weights(begun))
    assert runs.read_config(begun).cooldown == 0.5


def test_the_rates_reach_a_graph_of_the_device():
    gpu, _ = device.choose("emulated")

    def trained(share, graph):
        _, trainer = runs.assemble(config(cooldown=share), device=gpu, graph=graph)
        trainer.run(8)
        assert trainer.system_step.is_graph is graph
        return trainer.state_dict()[0]

    falling = trained(0.5, graph=True)
    assert_same(falling, trained(0.5, graph=False))
    assert differ(falling, trained(0.0, graph=True))


def test_the_next_step_of_a_run_is_taken_at_its_rate(tmp_path, capsys):
    folder = runs.train(config(cooldown=0.5), tmp_path / "run", quiet=True, hooks=[StopAfter(6)])
    assert main(["step", str(folder)]) == 0
    assert ", learning rates times 0.5\n" in capsys.readouterr().out


def test_a_training_says_that_its_rates_will_fall(tmp_path, capsys):
    runs.train(config(cooldown=0.25), tmp_path / "run")
    assert "over the last 25% of them learning rates fall to zero" in capsys.readouterr().out


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match=r"cooldown: must be in \[0, 1\], got"):
        config(cooldown=share)
