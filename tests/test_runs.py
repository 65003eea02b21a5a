"""So that a run can be stopped, broken, moved and gone on with, and never loses or silently changes what it had."""

import errno
import json
import os
import re
import signal
import zlib
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

import numpy as np
import pytest

from minigan import data, device, presets, runs
from minigan.training import checkpoint, hooks
from minigan.training.checkpoint import CheckpointError
from minigan.training.trainer import Batches, Trainer, random_streams

QUICK = {"log_every": 2, "sample_every": 100, "checkpoint_every": 100}
SMALL = {
    "gan-2d": {"width": 8, "samples": 20, "steps": 2, "batch": 16},
    "gan": {"batch": 4, "samples": 4, "steps": 2},
    "dcgan-mnist": {"width": 4, "batch": 8, "samples": 4, "steps": 2},
    "infogan-paper": {"batch": 4, "samples": 20, "steps": 2},
    "autoencoder": {"batch": 8, "hidden": 8, "samples": 4, "steps": 2},
    "vae": {"batch": 8, "hidden": 8, "samples": 4, "steps": 2},
    "discriminator-only": {"batch": 4, "width": 2, "ascent_steps": 2, "replayed": 10, "samples": 4, "steps": 2},
    "discriminator-only-2d": {"batch": 16, "width": 8, "ascent_steps": 2, "replayed": 40, "samples": 20, "steps": 2},
    "mmd": {"batch": 8, "width": 8, "codes": 3, "samples": 4, "steps": 2},
    "mmd-2d": {"batch": 16, "width": 8, "samples": 20, "steps": 2},
}


def config(preset="gan-2d", **changes):
    return replace(presets.get(preset).config, **(QUICK | SMALL[preset] | changes))


def train(config=None, out=None, **options):
    return runs.train(config, out, quiet=True, **options)


def checkpoint_of(folder):
    return checkpoint.load(folder / "checkpoint.npz")


def assert_same_state(one, other):
    """Equal weights, buffers, optimisers, random streams and place in the data, bit for bit."""
    (arrays, meta), (others, other_meta) = checkpoint_of(one), checkpoint_of(other)
    assert arrays.keys() == others.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, others[name], err_msg=name)
    assert meta["counters"] == other_meta["counters"]


def log_of(folder):
    """The log without what the clock decides."""
    rows = hooks.read_log(folder / "log.jsonl")
    return [{key: value for key, value in row.items() if key not in ("seconds", "images_per_s")} for row in rows]


@pytest.fixture
def points(tmp_path):
    """A file of 60 points."""
    path = tmp_path / "points.npy"
    np.save(path, np.random.default_rng(2).standard_normal((60, 2)))
    return path


@pytest.fixture
def run(tmp_path, points):
    """A finished run of two iterations."""
    return train(config(data=str(points)), tmp_path / "run")


# --- the folder -------------------------------------------------------------------------------------------------------


def test_a_run_leaves_everything_it_promises(tmp_path):
    folder = train(config(steps=3, sample_every=2), tmp_path / "a" / "run")
    assert folder == tmp_path / "a" / "run"
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    pictures = {f"samples/{i:07d}.png" for i in (0, 2, 3)}
    assert found == {"config.json", "log.jsonl", "losses.png", "samples.webp", "checkpoint.npz"} | pictures
    assert presets.config_from_dict(json.loads((folder / "config.json").read_text())) == config(steps=3, sample_every=2)
    assert [row["iteration"] for row in log_of(folder)] == [1, 2, 3]


def test_an_unnamed_run_takes_the_next_free_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [train(config(steps=1)).as_posix() for _ in range(2)]
    assert names == ["runs/gan-2d-1", "runs/gan-2d-2"]


def test_epochs_count_whole_batches(tmp_path, points):
    folder = train(config(data=str(points), steps=None, epochs=1.5, batch=25), tmp_path / "run")
    assert checkpoint_of(folder)[1]["counters"]["iteration"] == 3


def test_one_seed_decides_a_run(tmp_path):
    same = [train(config(seed=5), tmp_path / name) for name in ("one", "two")]
    other = train(config(seed=6), tmp_path / "three")
    assert_same_state(*same)
    assert log_of(same[0]) == log_of(same[1]) != log_of(other)


def test_no_run_replaces_another(run):
    before = (run / "checkpoint.npz").read_bytes()
    expected = re.escape(f"out: {run} is not empty; resume it with --resume {run}, or choose another --out")
    with pytest.raises(ValueError, match=expected):
        train(config(), run)
    assert (run / "checkpoint.npz").read_bytes() == before


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ValueError, match=r"is not empty; choose another --out"):
        train(config(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("below", ["", "run"])
def test_a_file_where_the_folder_should_be(tmp_path, below):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"out: .*file.* cannot be a run's folder: (File exists|Not a directory)"):
        train(config(), tmp_path / "file" / below)


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    def deny(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "replace", deny)
    with pytest.raises(OSError, match=r"out: cannot write to .*run: Permission denied"):
        train(config(), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_too_little_space_is_told_before_training(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(runs.folder.shutil, "disk_usage", lambda path: usage(2 << 20, 1 << 20, 1 << 20))
    with pytest.raises(OSError, match=r"has 1 MiB free, a run of this size needs 64 MiB"):
        train(config(), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_refused_run_leaves_no_folder_but_keeps_the_users(tmp_path):
    (tmp_path / "mine").mkdir()
    for name in ("mine", "new"):
        with pytest.raises(ValueError, match="data: expected a known name or a path"):
            train(config(data="rings-of-saturn"), tmp_path / name)
    assert [path.name for path in tmp_path.rglob("*")] == ["mine"]


@pytest.mark.usefixtures("signals_of_a_terminal")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_while_a_run_is_prepared_leaves_no_folder(tmp_path, monkeypatch, number):
    monkeypatch.setattr(runs.run, "assemble", lambda *_, **__: signal.raise_signal(number))
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        train(config(), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(number) is before


# --- one training in a folder -----------------------------------------------------------------------------------------


def in_use(folder):
    return pytest.raises(ValueError, match=re.escape(f"another process is training in {folder} (or another Run of "))


def test_a_folder_has_one_training_at_a_time(run):
    first = runs.prepare(config(data=str(run.parent / "points.npy"), steps=3), resume=run)
    with in_use(run):
        train(resume=run)
    with in_use(run):
        train(config(), run)
    first.train(quiet=True)
    train(config(data=str(run.parent / "points.npy"), steps=4), resume=run)


def test_a_run_that_is_prepared_and_dropped_or_refused_or_fails_leaves_its_folder_to_others(tmp_path):
    prepared = runs.prepare(config(), tmp_path / "run", hooks=[FailingHook()])
    with in_use(tmp_path / "run"):
        train(resume=tmp_path / "run")
    with pytest.raises(ZeroDivisionError):
        prepared.train(quiet=True)
    with pytest.raises(ValueError, match="batch: expected at most 100000"):
        train(config(batch=200_000), resume=tmp_path / "run")
    resumed = runs.prepare(config(steps=3), resume=tmp_path / "run")
    del resumed
    train(config(steps=3), resume=tmp_path / "run")


class FailingHook:
    def after_step(self, trainer, scalars):
        raise ZeroDivisionError


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python's, of other threads' locks
@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
def test_a_forked_child_does_not_keep_a_folder(tmp_path):
    lock = runs.lock.Lock(tmp_path)
    child = os.fork()
    if child == 0:
        os._exit(int(lock.release.alive))
    assert os.waitpid(child, 0)[1] == 0
    with in_use(tmp_path):
        runs.lock.Lock(tmp_path)


def test_where_folders_cannot_be_locked_runs_train_all_the_same(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(runs.lock.fcntl, "flock", no_locks)
    train(config(), tmp_path / "run")
    monkeypatch.setattr(runs.lock, "fcntl", None)
    train(config(steps=3), resume=tmp_path / "run")


# --- data and device --------------------------------------------------------------------------------------------------


def test_a_gpu_that_cannot_be_used_is_refused_with_the_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(device.runtime, "unavailable", lambda name: f"no {name} today")
    monkeypatch.setattr(device.runtime, "get", lambda name: (_ for _ in ()).throw(device.DeviceError(f"no {name}")))
    device.get.cache_clear()
    with pytest.raises(device.DeviceError, match="no gpu"):
        train(config(), tmp_path / "run", device="gpu")
    with pytest.raises(ValueError, match=r"precision: expected float32 on the CPU, got tf32 \(no gpu today\)"):
        train(config(), tmp_path / "run", precision="tf32")
    with pytest.raises(ValueError, match=r"precision: expected float32, tf32, bfloat16, got 'float16'"):
        train(config(), tmp_path / "run", precision="float16")
    with pytest.raises(ValueError, match=r"device: unknown 'gpuu'; did you mean gpu"):
        train(config(), tmp_path / "run", device="gpuu")
    assert list(tmp_path.iterdir()) == []


def test_neither_config_nor_run():
    with pytest.raises(ValueError, match="config: give a preset's config, or a run to resume"):
        train()


@pytest.mark.parametrize(
    ("preset", "changes", "message"),
    [
        ("gan-2d", {"batch": 100_001}, r"batch: expected at most 100000, the size of ring, got 100001"),
        ("gan-2d", {"data": "rnig"}, r"data: expected a known name or a path, got 'rnig'; did you mean ring"),
        (
            "gan-2d",
            {"data": "mnist-10k"},
            r"gan-2d takes points of the plane, the data have items of shape \(28,",
        ),
        ("gan", {"data": "ring"}, r"data: ring holds points of the plane, gan takes images; try gan-2d"),
        ("gan", {"data": "toyfaces"}, r"channels: expected 3 for toyfaces, which is RGB, got 1"),
    ],
)
def test_data_that_do_not_fit_are_refused(tmp_path, preset, changes, message):
    with pytest.raises(ValueError, match=message):
        train(config(preset, **changes), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_points_that_are_not_finite_are_refused_by_row(tmp_path):
    values = np.zeros((30, 2))
    values[17, 1] = np.nan
    np.save(tmp_path / "points.npy", values)
    with pytest.raises(ValueError, match=r"points\.npy: 1 of 30 points are not finite; the first is row 17"):
        train(config(data=str(tmp_path / "points.npy")), tmp_path / "run")


def test_more_updates_of_d_than_the_data_have_batches_for(tmp_path, points):
    with pytest.raises(ValueError, match="data: points has 60 items, an iteration takes 80 "):
        train(config(data=str(points), batch=16, d_steps=5), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_presets_name_is_a_config_and_endings_have_no_case(tmp_path, points):
    points.rename(tmp_path / "POINTS.NPY")
    run = runs.prepare("gan-2d", tmp_path / "run")
    assert run.config == presets.get("gan-2d").config
    assert len(runs.load_data(config(data=str(tmp_path / "POINTS.NPY")))) == 60


def test_a_folder_without_pictures_and_a_text_named_png(tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    with pytest.raises(FileNotFoundError, match=r"pictures: no picture found; expected files that end in \.png"):
        train(config("dcgan-mnist", data=str(pictures)), tmp_path / "run")
    (pictures / "a.png").write_text("not a picture")
    with pytest.raises(ValueError, match=r"a\.png: not a picture in a known format \(13 bytes\)"):
        train(config("dcgan-mnist", data=str(pictures)), tmp_path / "run")


def test_own_pictures_in_colour_train_a_dcgan(tmp_path):
    faces = data.load("toyfaces", n=8, size=28).images
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for i, face in enumerate(faces):
        hooks.plots.save_grid(pictures / f"{i}.png", face[None], pad=0)
    folder = train(config("dcgan-mnist", data=str(pictures)), tmp_path / "run")
    trained = runs.load(folder)
    assert trained.image_shape == (28, 28, 3)
    assert trained.system.sample(trained.system.latents.sample(np.random.default_rng(0), 3)).shape == (3, 28, 28, 3)


# --- resuming ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "changes"),
    [
        ("gan-2d", {}),
        ("gan-2d", {"d_steps": 2, "batch": 25, "data": "60 points"}),  # across epochs, whose rest is left out
        ("gan-2d", {"penalty": "wgan-gp", "packing": 2, "average": 0.9, "d_steps": 2}),
        ("gan-2d", {"penalty": "dragan", "spectral_norm": True}),
        ("dcgan-mnist", {}),
        ("dcgan-mnist", {"loss": "hinge", "spectral_norm": True, "average": 0.9}),
        ("infogan-paper", {}),
        ("autoencoder", {"network": "conv"}),
        ("vae", {"binarise": True}),
        ("vae", {"likelihood": "gaussian", "importance": True, "k": 3}),
        ("discriminator-only", {}),
        ("discriminator-only-2d", {"d_steps": 2}),
        ("mmd", {}),
        ("mmd-2d", {}),
    ],
)
def test_n_steps_and_m_more_are_n_plus_m_bit_for_bit(tmp_path, points, preset, changes):
    changes = changes | ({"data": str(points)} if "data" in changes else {})
    whole = train(config(preset, **changes | {"steps": 5}), tmp_path / "whole")
    halves = train(config(preset, **changes | {"steps": 3}), tmp_path / "halves")
    assert train(config(preset, **changes | {"steps": 5}), resume=halves) == halves
    assert_same_state(whole, halves)
    assert log_of(whole) == log_of(halves)
    last = "samples/0000005.png"
    assert (whole / last).read_bytes() == (halves / last).read_bytes()
    assert presets.config_from_dict(json.loads((halves / "config.json").read_text())).steps == 5


def test_an_averaged_generator_is_what_a_loaded_run_samples_from(tmp_path):
    folder = train(config("dcgan-mnist", average=0.9), tmp_path / "run")
    trained = runs.load(folder)
    saved = {name: array for name, array in checkpoint_of(folder)[0].items() if name.startswith("module.g_average.")}
    assert "module.g_average.2.running_var" in saved
    z = trained.system.latents.sample(np.random.default_rng(0), 4)
    drawn = trained.system.sample(z)
    trained.system.g.load_state_dict({name.removeprefix("module.g_average."): a for name, a in saved.items()})
    trained.system.average = None
    np.testing.assert_array_equal(drawn, trained.system.sample(z))


def test_a_run_is_resumed_with_its_own_config_from_any_directory(tmp_path, points, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = train(config(data="points.npy", steps=2), "run")
    values = json.loads((run / "config.json").read_text()) | {"steps": 4}
    (run / "config.json").write_text(json.dumps(values))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    train(resume="../run")
    assert checkpoint_of(tmp_path / "run")[1]["counters"]["iteration"] == 4


def test_changed_hyper_parameters_are_refused_with_the_difference(run, points):
    changed = config(data=str(points), steps=9, lr_g=0.5, width=9, log_every=7)
    with pytest.raises(CheckpointError, match=r"another config: lr_g was 0\.001, now 0\.5; width was 8, now 9$"):
        train(changed, resume=run)
    assert presets.config_from_dict(json.loads((run / "config.json").read_text())).lr_g == 1e-3


def test_changed_data_are_refused(run, points):
    values = np.load(points)
    values[3] += 1
    np.save(points, values)
    with pytest.raises(CheckpointError, match=r"it was trained on data 60x2 crc32 \w{8}, these are 60x2 crc32 \w{8}"):
        train(config(data=str(points), steps=3), resume=run)


def test_moved_data_are_the_same_data(run, points):
    moved = points.rename(points.with_name("moved.npy"))
    train(config(data=str(moved), steps=3), resume=run)
    assert checkpoint_of(run)[1]["counters"]["iteration"] == 3


def test_a_finished_run_says_how_to_go_on(run, points):
    told = r"run has done 2 iterations already, {} in all were asked for; ask for more with --steps or --epochs"
    with pytest.raises(ValueError, match=told.format(2)):
        train(resume=run)
    with pytest.raises(ValueError, match=told.format(1)):
        train(config(data=str(points), steps=1), resume=run)


def test_a_run_without_a_checkpoint_begins_anew(tmp_path):
    whole = train(config(steps=5), tmp_path / "whole")
    killed = runs.prepare(config(steps=5), tmp_path / "killed").folder
    with pytest.raises(ValueError, match=rf"killed is not empty; resume it with --resume {killed}, or choose another"):
        train(config(), killed)
    with pytest.warns(UserWarning, match=r"killed has no checkpoint yet: it begins anew from its config\.json"):
        train(resume=killed)
    assert_same_state(whole, killed)
    assert log_of(whole) == log_of(killed)
    (killed / "checkpoint.npz").rename(killed / "best.npz")
    with pytest.raises(
        FileNotFoundError, match=r"no checkpoint at .*; move .*best\.npz elsewhere, and the run can begin"
    ):
        train(resume=killed)


def test_a_resume_that_fails_leaves_the_config(tmp_path):
    measured = {"eval_every": 2, "eval_samples": 10}
    run = train(config(**measured), tmp_path / "run")
    (run / "best.npz").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match=r"best\.npz is not a complete minigan checkpoint"):
        train(config(steps=4, **measured), resume=run)
    assert presets.config_from_dict(json.loads((run / "config.json").read_text())).steps == 2


def test_other_threads_than_before_are_told(run, points, monkeypatch):
    threads = checkpoint_of(run)[1]["versions"]["threads"]
    monkeypatch.setattr(checkpoint, "threads", lambda device: threads + 1)
    with pytest.warns(
        UserWarning, match=rf"^threads: .*run was trained with {threads}, now {threads + 1}: its weights "
    ):
        train(config(data=str(points), steps=3), resume=run)


def test_a_resumed_run_cannot_move(run, tmp_path):
    with pytest.raises(ValueError, match="out: a resumed run stays in its folder"):
        train(out=tmp_path / "other", resume=run)


def test_what_is_no_run_is_told(tmp_path, run):
    with pytest.raises(ValueError, match=r"nothing is not a run: config\.json cannot be read \(No such file"):
        train(resume=tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at .*nothing.checkpoint\.npz$"):
        train(config(data=str(tmp_path / "points.npy"), steps=4), resume=tmp_path / "nothing")
    (run / "config.json").write_text('{"preset": "gan-2d", "widht": 3}')
    with pytest.raises(ValueError, match=r"config\.json is damaged: preset gan-2d has no field widht"):
        train(resume=run)
    for damaged, what in (
        ("[1]", "expected a dict of config fields, got list"),
        ('{"preset": "gan-2d", "batch": "64"}', "batch: expected a whole number, got '64'"),
        ('{"preset": "gan-2d", "steps": 44.5}', "steps: expected a whole number or nothing, got 44.5"),
        ('{"preset": "gan-2d", "data": 5}', "data: expected a string, got 5"),
        ('{"preset": "gan-2d", "find_nonfinite": "no"}', "find_nonfinite: expected true or false, got 'no'"),
        ('{"preset": "gan-2d", "lr_g": true}', "lr_g: expected a number, got True"),
    ):
        (run / "config.json").write_text(damaged)
        with pytest.raises(ValueError, match=rf"config\.json is damaged: {what}"):
            train(resume=run)
    (run / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config\.json is damaged: Expecting"):
        train(resume=run)


# --- checkpoints ------------------------------------------------------------------------------------------------------


def trainer_of(width=8, batch=16):
    streams = random_streams(0)
    settings = config(width=width, batch=batch)
    system = presets.get("gan-2d").build(settings, (2,), streams["init"])
    points = np.random.default_rng(0).standard_normal((50, 2)).astype(np.float32)
    return Trainer(system, points, streams, batch=batch)


def test_a_checkpoint_of_another_model_is_refused_with_the_shapes(tmp_path):
    checkpoint.save(tmp_path / "c.npz", trainer_of(width=8), {})
    with pytest.raises(
        CheckpointError, match=r"checkpoint of another model: .*0\.w has shape \(2, 8\), expected \(2, 9"
    ):
        checkpoint.resume(tmp_path / "c.npz", trainer_of(width=9), {})


def _rewrite(path, **entries):
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **(arrays | entries))


def _flip_a_byte_of_the_first_array(path):
    content = bytearray(path.read_bytes())
    content[600] ^= 255  # in the data of the first entry, whose CRC-32 then differs
    path.write_bytes(content)


def _write_a_lone_array(path):
    with open(path, "wb") as file:
        np.save(file, np.zeros(3))


def _text(values):
    return np.frombuffer(json.dumps(values).encode(), np.uint8)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(b""), "not a complete minigan checkpoint"),
        (lambda path: path.write_text("hello"), "not a complete minigan checkpoint"),
        (_write_a_lone_array, "not a complete minigan checkpoint"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1000]), "not a complete minigan checkpoint"),
        (lambda path: path.write_bytes(path.read_bytes()[:1000]), "not a complete minigan checkpoint"),
        (_flip_a_byte_of_the_first_array, "not a complete minigan checkpoint"),
        (lambda path: np.savez(path, a=np.zeros(3)), "not a complete minigan checkpoint"),
        (lambda path: _rewrite(path, extra=np.array([print], object)), "Object arrays cannot be loaded"),
        (lambda path: _rewrite(path, meta=_text({"format": 99})), "has format 99, this version reads 1"),
    ],
)
def test_a_damaged_checkpoint_is_told_as_such(run, points, damage, message):
    damage(run / "checkpoint.npz")
    with pytest.raises(CheckpointError, match=message):
        train(config(data=str(points), steps=4), resume=run)
    with pytest.raises(CheckpointError, match=message):
        runs.load(run)


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.npz"
    trainer = trainer_of()
    checkpoint.save(path, trainer, {})
    before = path.read_bytes()
    trainer.run(1)

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="checkpoint not written, the previous one is kept: No space left") as caught:
        checkpoint.save(path, trainer, {})
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["checkpoint.npz"]


def test_loading_takes_the_weights_and_the_running_averages(tmp_path):
    prepared = runs.prepare(config("dcgan-mnist"), tmp_path / "run")
    prepared.train(quiet=True)
    z = prepared.trainer.system.latents.sample(np.random.default_rng(0), 3)
    trained = runs.load(tmp_path / "run")
    assert (trained.iteration, trained.image_shape) == (2, (28, 28, 1))
    assert asdict(trained.config) == asdict(prepared.config)
    np.testing.assert_array_equal(trained.system.sample(z), prepared.trainer.system.sample(z))


@pytest.mark.parametrize("preset", ["autoencoder", "vae", "discriminator-only-2d", "mmd"])
def test_loading_takes_all_that_samples_depend_on(tmp_path, preset):
    prepared = runs.prepare(config(preset), tmp_path / "run")
    prepared.train(quiet=True)
    system, trained = prepared.trainer.system, runs.load(tmp_path / "run")
    for name, module in system.modules.items():
        for part, array in module.state_dict().items():
            np.testing.assert_array_equal(trained.system.modules[name].state_dict()[part], array, err_msg=part)
    z = system.latents.sample(np.random.default_rng(0), 3)
    np.testing.assert_array_equal(trained.system.sample(z), system.sample(z))


def test_an_autoencoders_run_shows_reconstructions_beside_the_images(tmp_path):
    folder = train(config("vae", steps=3, sample_every=2), tmp_path / "run")
    assert sorted(path.name for path in (folder / "reconstructions").iterdir()) == [
        f"{iteration:07d}.png" for iteration in (0, 2, 3)
    ]
    rows = log_of(folder)
    assert {"loss_nats", "elbo_nats", "reconstruction_nats", "kl_nats"} <= set(rows[0])
    assert (folder / "losses.png").stat().st_size > 0


def test_a_failing_run_names_its_own_learning_rates(tmp_path):
    class Break:
        def after_step(self, trainer, scalars):
            trainer.system.encoder.parameters()[0].data[...] = np.nan

    prepared = runs.prepare(config("vae", steps=5), tmp_path / "run", hooks=[Break()])
    with pytest.raises(FloatingPointError, match="Try a smaller --lr, or --find-nonfinite"):
        prepared.train(quiet=True)


def test_loading_another_models_weights_is_refused(run):
    values = checkpoint_of(run)[1]
    values["config"]["width"] = 9
    _rewrite(run / "checkpoint.npz", meta=_text(values))
    with pytest.raises(CheckpointError, match=r"another model: .*0\.w has shape \(2, 8\), expected \(2, 9\)"):
        runs.load(run)


# --- the loop ---------------------------------------------------------------------------------------------------------


def test_batches_take_every_item_once_an_epoch_in_a_new_order():
    batches = Batches(np.arange(10), 3, np.random.default_rng(0))
    epochs = [np.concatenate([next(batches) for _ in range(3)]) for _ in range(3)]
    for epoch in epochs:
        assert len(set(epoch)) == 9
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_batches_larger_than_the_data():
    with pytest.raises(ValueError, match="batch: expected 1 to 10, the size of the data set, got 11"):
        Batches(np.arange(10), 11, np.random.default_rng(0))


class InterruptAt:
    def __init__(self, iteration, number):
        self.iteration, self.number = iteration, number

    def after_step(self, trainer, scalars):
        if trainer.iteration == self.iteration:
            signal.raise_signal(self.number)


@pytest.mark.usefixtures("signals_of_a_terminal")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_ends_after_the_step_saves_and_can_be_resumed(tmp_path, number):
    whole = train(config(steps=5), tmp_path / "whole")
    stopped = runs.prepare(config(steps=5), tmp_path / "stopped", hooks=[InterruptAt(3, number)])
    before = signal.getsignal(number)
    stopped.train(quiet=True)
    assert signal.getsignal(number) is before
    assert stopped.trainer.interrupted
    assert checkpoint_of(stopped.folder)[1]["counters"]["iteration"] == 3
    train(resume=stopped.folder)
    assert_same_state(whole, stopped.folder)
    assert log_of(whole) == log_of(stopped.folder)


def test_under_nohup_a_closed_terminal_ends_nothing(tmp_path):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        run = runs.prepare(config(steps=5), tmp_path / "run", hooks=[InterruptAt(3, signal.SIGHUP)])
        run.train(quiet=True)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert run.trainer.iteration == 5


def test_hooks_stop_also_when_a_step_fails():
    seen = []

    class Watch:
        def start(self, trainer):
            seen.append("start")

        def stop(self, trainer):
            seen.append(("stop", trainer.failed))

    trainer = trainer_of()
    trainer.hooks = [Watch()]
    trainer.system.step = lambda batches, rng: 1 / 0
    with pytest.raises(ZeroDivisionError):
        trainer.run(3)
    assert seen == ["start", ("stop", True)]


def test_the_first_nonfinite_operation_is_named_when_asked():
    trainer = trainer_of()
    trainer.find_nonfinite = True
    trainer.system.g.parameters()[0].data[0, 0] = np.nan
    with pytest.raises(FloatingPointError, match=r"linear is not finite: shape \(16, 8\), \d+ NaN"):
        trainer.run(1)


def test_fingerprints_tell_data_apart():
    images = np.zeros((2, 3), np.float32)
    assert checkpoint.fingerprint(images) == f"2x3 crc32 {zlib.crc32(images):08x}"
    assert checkpoint.fingerprint(images) != checkpoint.fingerprint(images.reshape(3, 2))
    many = np.zeros((2000, 1), np.float32)  # more than one block
    before = checkpoint.fingerprint(many)
    for row in (0, 1999):
        changed = many.copy()
        changed[row] = 1
        assert checkpoint.fingerprint(changed) != before


@pytest.mark.parametrize(
    ("preset", "changes", "per_iteration"),
    [
        ("dcgan-mnist", {}, 128),
        ("dcgan-mnist", {"d_steps": 5}, 640),
        ("discriminator-only", {"d_steps": 3}, 96),
        ("infogan", {}, 32),
        ("infogan", {"d_batch": None}, 64),
        ("vae", {}, presets.get("vae").config.batch),
    ],
)
def test_an_epoch_is_a_pass_over_the_data(preset, changes, per_iteration):
    config = replace(presets.get(preset).config, epochs=3, steps=None, **changes)
    assert config.images_per_iteration == per_iteration
    assert runs.length(config, 10_000) == 3 * (10_000 // per_iteration)


def test_two_runs_that_begin_at_once_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: runs.folder.new(None, "gan-2d"), range(40)))
    assert len({folder for folder, _ in made}) == 40
    assert all(first for _, first in made)
