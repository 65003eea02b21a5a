"""So that each way to fail is told by name where it is there, and nothing is told of a training that works."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from minigan import Tensor, cli, nn, ops, presets, runs, watch
from minigan.data import toy2d
from minigan.latents import Categorical, Latents, Noise, Uniform
from minigan.study import doctor
from minigan.training.losses import NON_SATURATING, WASSERSTEIN
from minigan.training.systems import GAN

RNG = np.random.default_rng


def case(**parts):
    """What a check looks at, with the parts that it needs."""
    names = ("system", "config", "rows", "real", "made", "z", "step")
    return doctor.Case(**(dict.fromkeys(names) | parts))


def logged(loss=NON_SATURATING, **numbers):
    return case(system=SimpleNamespace(loss=loss), rows=[numbers])


# --- check by check ---------------------------------------------------------------------------------------------------


def test_samples_that_are_no_numbers_are_told():
    made = np.zeros((4, 2))
    assert doctor.finite(case(made=made)).healthy
    made[1] = np.nan
    assert doctor.finite(case(made=made)).seen.startswith("2 of the samples' 8 values")


def test_a_discriminator_that_is_always_right_has_won():
    assert not doctor.balance(logged(d_real=0.99, d_fake=0.01)).healthy
    assert doctor.balance(logged(d_real=0.8, d_fake=0.2)).healthy
    assert doctor.balance(logged(d_real=0.97, d_fake=0.9)).healthy, "sure of everything is right about half"
    assert "0.80 for real and 0.20" in doctor.balance(logged(d_real=0.8, d_fake=0.2)).seen


def test_scores_without_bounds_are_no_opinion_to_judge():
    assert doctor.balance(logged(WASSERSTEIN, d_real=50.0, d_fake=-50.0)) is None
    assert doctor.balance(case(system=SimpleNamespace(), rows=[{"mmd2": 0.1}])) is None


def test_only_the_end_of_a_log_counts_and_its_mean():
    rows = [{"d_real": 0.2, "d_fake": 0.2}, {"d_real": 0.4}]
    assert case(rows=rows).mean("d_real") == pytest.approx(0.3)
    assert case(rows=rows).mean("absent") is None


@pytest.mark.parametrize(("copies", "healthy"), [(1, True), (32, False)])
def test_few_things_drawn_again_and_again_are_no_variety(copies, healthy):
    real = RNG(0).standard_normal((256, 4, 4, 1), np.float32)
    made = RNG(1).standard_normal((256 // copies, 4, 4, 1), np.float32).repeat(copies, axis=0)
    assert doctor.variety(case(real=real, made=made)).healthy is healthy


def test_samples_in_pairs_are_no_variety_however_far_the_pairs_are_apart():
    real, apart = RNG(0).standard_normal((256, 2), np.float32), RNG(1).standard_normal((128, 2), np.float32)
    assert not doctor.variety(case(real=real, made=apart.repeat(2, axis=0))).healthy


def test_variety_of_data_that_are_copies_themselves_is_not_asked_for():
    same = np.zeros((8, 2), np.float32)
    assert doctor.variety(case(real=same, made=same)).healthy


class Places:
    """A system that draws points at some of the modes of a distribution."""

    latents = Latents(Noise(2))

    def __init__(self, modes, content="ring"):
        self.centres = toy2d.DISTRIBUTIONS[content]().centres[:modes]

    def sample(self, z):
        return self.centres[np.arange(len(z)) % len(self.centres)].astype(np.float32)


@pytest.mark.parametrize(("content", "there"), [("ring", 8), ("grid", 25)])
@pytest.mark.parametrize("missing", [0, 1])
def test_a_mode_that_is_never_drawn_is_missed(content, there, missing):
    found = doctor.modes(case(system=Places(there - missing, content), content=content))
    assert found.healthy is (missing == 0)
    assert found.seen == f"{there - missing} of {there} are drawn"


@pytest.mark.parametrize("content", [None, "digits", "moons"])
def test_modes_are_counted_where_there_are_some(content):
    assert doctor.modes(case(system=Places(8), content=content)) is None


@pytest.mark.parametrize(("passes", "healthy"), [(200, True), (0, False)])
def test_running_averages_that_lag_behind_are_found(passes, healthy):
    norm = nn.BatchNorm(2, eps=1e-5, momentum=0.1)
    system = GAN(nn.Sequential(norm, input_shape=(2,)), None, Latents(Noise(2)), None, None, batch=64)
    z = (5 + 3 * RNG(0).standard_normal((256, 2))).astype(np.float32)
    for _ in range(passes):
        norm(Tensor(z))
    before = norm.state_dict()
    before = {name: array.copy() for name, array in before.items()}
    assert (
        doctor.batch_norm(case(system=system, z=z, made=system.sample(z), config=SimpleNamespace(batch=64))).healthy
        is healthy
    )
    assert all(np.array_equal(before[name], array) for name, array in norm.state_dict().items())


def test_networks_without_batch_norm_have_no_running_averages():
    g = nn.Sequential(nn.Linear(2, 2), input_shape=(2,))
    assert doctor.batch_norm(case(system=GAN(g, None, Latents(Noise(2)), None, None, batch=4))) is None


@pytest.mark.parametrize(("nats", "healthy"), [(2.25, True), (1.0, False)])
def test_a_code_that_q_cannot_read_is_found(nats, healthy):
    system = SimpleNamespace(latents=Latents(Noise(4), Uniform(), Categorical(10)))
    found = doctor.codes(case(system=system, rows=[{"information_nats_0": -1.0, "information_nats_1": nats}]))
    assert found.healthy is healthy
    assert f"{nats:.2f} of 2.30 nats of code 1" in found.seen


def test_one_code_that_q_cannot_read_is_found_beside_one_that_it_can():
    system = SimpleNamespace(latents=Latents(Noise(4), Categorical(10), Categorical(2)))
    assert not doctor.codes(case(system=system, rows=[{"information_nats_0": 2.25, "information_nats_1": 0.1}])).healthy


def test_real_valued_codes_have_no_ceiling_to_reach():
    system = SimpleNamespace(latents=Latents(Noise(4), Uniform()))
    assert doctor.codes(case(system=system, rows=[{"information_nats_0": -1.0}])) is None


@pytest.mark.parametrize(("active", "healthy"), [(2, True), (1, False)])
def test_codes_that_a_divergence_has_silenced_are_counted(active, healthy):
    codes = RNG(0).standard_normal((256, 20)) * np.where(np.arange(20) < active, 1.0, 0.01)
    system = SimpleNamespace(elbo_nats=None, encode=lambda images: codes)
    found = doctor.posterior(case(system=system))
    assert found.healthy is healthy
    assert found.seen == f"{active} of 20 codes depend on the image"


def test_rectifiers_that_are_silent_for_a_whole_batch_are_found_by_row():
    seen = doctor.StepSeen()
    with watch(seen):
        ops.relu(Tensor(np.ones((3, 4), np.float32)))
        x = -np.ones((2, 1, 10), np.float32)
        x[0, 0, 3] = 1  # nine units are silent for both
        ops.relu(Tensor(x))
    assert seen.silent == [(2, 0.0), (4, pytest.approx(0.9))]
    found = doctor.silent_units(case(step=seen))
    assert not found.healthy
    assert "90%" in found.seen
    assert "row 4" in found.seen


def a_step(**updates):
    """A step that did this to weights: name=(size, gradient, change)."""
    step = doctor.StepSeen()
    parameter = SimpleNamespace
    for name, (size, gradient, change) in updates.items():
        of = parameter(data=np.full((2, 2), size + change), grad=np.full((2, 2), gradient), shape=(2, 2))
        step(SimpleNamespace(kind="update", name=name.replace("_", "."), data=np.full((2, 2), size), inputs=(of,)))
    return step


def test_a_network_without_a_gradient_is_found():
    healthy = a_step(d_0=(1, 1e-2, 1e-3), g_0=(1, 1e-5, 1e-3))
    assert doctor.gradients(case(step=healthy)).healthy
    found = doctor.gradients(case(step=a_step(d_0=(1, 1e-2, 1e-3), g_0=(1, 1e-9, 1e-3))))
    assert not found.healthy
    assert "g 1e-09" in found.seen


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["d", "g"])
def test_gradients_and_steps_that_are_no_numbers_are_found_wherever_they_are(bad, where):
    step = {"d_0": (1, 1e-2, 1e-3), "d_1": (1, 1e-2, 1e-3), "d_2": (1, 1e-2, 1e-3), "g_0": (1, 1e-2, 1e-3)}
    spoilt = f"{where}_0"
    found = doctor.gradients(case(step=a_step(**step | {spoilt: (1, bad, 1e-3)})))
    assert not found.healthy
    assert f"{where} {bad}" in found.seen
    found = doctor.step_size(case(step=a_step(**step | {spoilt: (1, 1e-2, bad)})))
    assert not found.healthy
    assert f"{bad} of their size at most ({where}.0)" in found.seen


def test_a_step_that_throws_weights_about_is_found():
    assert doctor.step_size(case(step=a_step(d_0=(1, 1, 0.01)))).healthy
    found = doctor.step_size(case(step=a_step(d_0=(1, 1, 0.01), g_0=(0.1, 1, 0.05))))
    assert not found.healthy
    assert "0.5 of their size at most (g.0)" in found.seen


# --- whole runs -------------------------------------------------------------------------------------------------------


def train(folder, preset, **changes):
    config = replace(presets.get(preset).config, sample_every=1000, checkpoint_every=1000, **changes)
    return runs.train(config, folder, quiet=True, device="cpu")


def test_a_run_that_collapsed_is_told_what_ails_it_and_stays_as_it_is(tmp_path, capsys):
    run = train(tmp_path / "run", "gan-2d", steps=600, lr_g=0.05)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert cli.main(["doctor", str(run)]) == 0
    printed = capsys.readouterr().out
    assert "iteration 600" in printed
    assert "LOOK  variety" in printed
    assert "LOOK  modes" in printed
    assert "try a smaller --lr-g" in printed
    assert "checks found something" in printed
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_bad_start_of_a_log_is_forgotten(tmp_path):
    run = train(tmp_path / "run", "gan-2d", steps=10, batch=32, width=8)
    rows = [(1, 1.0, 0.0), (7, 1.0, 0.0), (8, 0.6, 0.4), (10, 0.4, 0.6)]
    lines = [json.dumps({"iteration": i, "d_real": real, "d_fake": fake}) for i, real, fake in rows]
    (run / "log.jsonl").write_text("\n".join(lines) + "\n")
    findings, _ = doctor.examine(run)
    assert findings[0].seen == "D(x) is 0.50 for real and 0.50 for generated items"


SYSTEMS = {
    "r1gan-2d": {"variety", "modes"},
    "dcgan-mnist": {"balance", "variety", "batch norm"},
    "infogan": {"balance", "variety", "batch norm", "codes"},
    "acgan": {"balance", "variety", "batch norm", "codes"},
    "vae": {"variety", "posterior"},
    "mmd-2d": {"variety", "modes"},
    "discriminator-only-2d": {"variety", "modes"},
}


@pytest.mark.parametrize("preset", SYSTEMS)
def test_every_kind_of_system_is_examined_by_what_fits_it(tmp_path, preset):
    run = train(tmp_path / "run", preset, steps=2, batch=32)
    findings, iteration = doctor.examine(run)
    names = {finding.name for finding in findings}
    assert iteration == 2
    assert SYSTEMS[preset] <= names
    assert {"gradients", "step size"} <= names
    assert ("codes" in names) == (preset in ("infogan", "acgan"))
    config = presets.get(preset).config
    for finding in findings:
        assert finding.seen
        assert finding.advice
        for option in re.findall(r"--([a-z-]+)", finding.advice):
            name = option.replace("-", "_")
            assert hasattr(config, name), (finding.name, finding.advice)
            assert name not in getattr(config, "refused", {}), (finding.name, finding.advice)


def test_advice_is_what_the_run_can_be_told():
    config = SimpleNamespace(lr=1, packing=1, refused={"packing": "because"})
    told = case(config=config)
    assert told.advise(lr="a", absent="b", packing="c") == "a"
    config.x, config.y = 1, 1
    assert told.advise(lr="a", x="b") == "a or b"
    assert told.advise(lr="a", x="b", y="c") == "a, b, or c"
    assert told.advise(absent="b") == ""


def test_what_a_run_does_already_is_no_advice():
    advice = {"penalty": "a --penalty", "packing": "--packing 2", "average": "--average 0.999"}
    config = SimpleNamespace(penalty="none", packing=1, average=None)
    assert case(config=config).advise(**advice) == "a --penalty, --packing 2, or --average 0.999"
    config = SimpleNamespace(penalty="r1", packing=2, average=0.99)
    assert case(config=config).advise(**advice) == ""
    config = SimpleNamespace(preset="r1gan-2d")
    assert doctor.modes(case(system=Places(7), content="ring", config=config)).advice == "more steps"
    config = SimpleNamespace(preset="gan-2d")
    assert doctor.modes(case(system=Places(7), content="ring", config=config)).advice == "the preset r1gan-2d"


@pytest.mark.parametrize("preset", ["gan-2d", "dcgan-mnist", "infogan", "acgan", "cgan"])
def test_a_penalty_is_advised_as_the_preset_takes_it(preset):
    def system(**changes):
        config = replace(presets.get(preset).config, **changes)
        return config, presets.get(preset).build(config, presets.get(preset).default_shape, RNG(0))

    config, built = system()
    advice = case(system=built, config=config).advise(penalty="a --penalty")
    norm = {"d_norm": "none"} if preset != "gan-2d" else {}
    assert advice == "a --penalty" + (" with --d-norm none" if norm else "")
    config, built = system(penalty="r1", **norm)
    assert case(system=built, config=config).advise(penalty="a --penalty") == ""
    if norm:
        config, built = system(**norm)
        assert case(system=built, config=config).advise(penalty="a --penalty") == "a --penalty"


def test_a_run_of_weights_that_are_no_numbers_is_told_so(tmp_path):
    run = train(tmp_path / "run", "gan-2d", steps=2, batch=32)
    with np.load(run / "checkpoint.npz") as entries:
        arrays = dict(entries)
    arrays["module.g.0.w"][0, 0] = np.nan
    np.savez(run / "checkpoint.npz", **arrays)
    findings, _ = doctor.examine(run)
    assert [(finding.name, finding.healthy) for finding in findings] == [("finite", False)]
    arrays["module.g.0.w"][0, 0], arrays["module.d.0.w"][0, 0] = 0, np.inf  # the samples are numbers, the step is not
    np.savez(run / "checkpoint.npz", **arrays)
    healthy = {finding.name: finding.healthy for finding in doctor.examine(run)[0]}
    assert (healthy["gradients"], healthy["step size"]) == (False, False)


def test_a_folder_without_a_run_is_refused(tmp_path, capsys):
    assert cli.main(["doctor", str(tmp_path)]) == 2
    assert "is not a run" in capsys.readouterr().err
