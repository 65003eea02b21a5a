"""Holds the measurements to their word: layers have names, wrong variants are caught, README is what was measured."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import (
    augmentation,
    emulated,
    features,
    gpu,
    ladder,
    memory,
    neighbours,
    profile,
    shapes,
    startup,
    tables,
    timing,
    train_classifier,
    train_step,
    worker,
)
from minigan import data, device, kernels, nn, presets
from minigan.kernels.cpu import pointwise
from minigan.models import classifier
from minigan.training.trainer import random_streams

ROOT = Path(__file__).parent.parent
PEAKS = {"gemm_gflops": 100.0, "copy_gbps": 10.0}
QUICK = ["--batch", "2", "--rounds", "1", "--turn-seconds", "1e-4"]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(timing, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(timing, "GEMM_SIZE", 64)
    monkeypatch.setattr(timing, "COPY_BYTES", 1 << 16)
    monkeypatch.setattr(ladder, "find_spec", lambda name: None)  # PyTorch, where it is installed, only costs time here


# --- shapes -----------------------------------------------------------------------------------------------------------


def weight_layers(module):
    """The layers with weight matrices anywhere in a network."""
    return [part for _, part in module._named(nn.Linear | nn.Conv2d | nn.ConvTranspose2d)]


GAMES = [name for name, preset in presets.PRESETS.items() if isinstance(preset.config, presets.GANConfig)]


@pytest.mark.parametrize("name", GAMES)
def test_every_layer_of_every_game_has_a_name(name):
    preset = presets.get(name)
    system = preset.build(preset.config, tuple(n or 1 for n in preset.image_shape), random_streams(0)["init"])
    trained = {net: module for net, module in system.modules.items() if net in "gdq"}
    expected = [f"{name}-{net}{i}" for net, m in trained.items() for i, _ in enumerate(weight_layers(m), 1)]
    named = [layer for layer in shapes.layers() if re.fullmatch(rf"{name}-[gdq]\d+", layer)]
    assert sorted(named) == sorted(expected)
    for layer in named:
        assert {"linear", "conv2d", "conv2d_grad_input"} & set(shapes.layers()[layer])


def test_every_kernel_has_a_shape():
    assert [name for name in kernels.spec.ENTRIES if not shapes.calls_of(name)] == []


@pytest.mark.parametrize(
    ("kernel", "layer", "text"),
    [
        ("conv2d", "dcgan-d2", "x (128, 32, 32, 64), w (4, 4, 64, 128), stride 2, padding 1"),
        (
            "conv2d_grad_input",
            "dcgan-g5",
            "dy (128, 32, 32, 64), w (4, 4, 3, 64), stride 2, padding 1, input_hw (64, 64)",
        ),
        ("conv2d", "dcgan-mnist-d1", "x (128, 28, 28, 1), w (4, 4, 1, 32), stride 2, padding 1"),
        ("linear_grad_weight", "gan-d3", "x (128, 1024), dy (128, 1024)"),
        ("max_pool2d_grad", "gan-d1", "dy (128, 12, 12, 32), index (128, 12, 12, 32), input_hw (24, 24)"),
        ("softmax_cross_entropy", "infogan-q2", "logits (128, 10), targets (128, 10)"),
    ],
)
def test_a_layer_calls_a_kernel_as_the_network_does(kernel, layer, text):
    assert str(shapes.calls_of(kernel)[layer]) == text


def test_the_walk_leaves_the_kernels_as_they_were():
    before = {name: getattr(kernels, name) for name in kernels.spec.ENTRIES}
    shapes.layers.__wrapped__(2)
    assert {name: getattr(kernels, name) for name in kernels.spec.ENTRIES} == before


def test_flop_and_bytes_of_a_call_are_those_of_its_arrays():
    call = shapes.calls_of("conv2d")["dcgan-d2"]
    assert call.flop == 2 * 128 * 16 * 16 * 4 * 4 * 64 * 128
    assert call.bytes == 4 * (128 * 32 * 32 * 64 + 4 * 4 * 64 * 128 + 128 * 16 * 16 * 128)


@pytest.mark.parametrize("name", kernels.spec.ENTRIES)
def test_arguments_have_the_shapes_of_the_call_and_fit_the_reference(name):
    layer, call = next(iter(shapes.calls_of(name, 2).items()))
    args, kwargs = shapes.arguments(call)
    assert str(shapes.Call(name, args, kwargs)) == str(call), layer
    assert all(np.isfinite(result).all() for result in ladder.expected(call, args, kwargs))


def test_pixels_of_a_pooling_lie_in_their_windows():
    (_, index), kwargs = shapes.arguments(shapes.calls_of("max_pool2d_grad", 2)["gan-d1"])
    h, w = np.divmod(index, kwargs["input_hw"][1])
    p, q = np.arange(12).reshape(1, -1, 1, 1), np.arange(12).reshape(1, 1, -1, 1)
    assert (h // 2 == p).all()
    assert (w // 2 == q).all()
    assert len(np.unique(h % 2)) == len(np.unique(w % 2)) == 2


# --- ladder -----------------------------------------------------------------------------------------------------------


def test_the_ladder_checks_times_and_writes_every_variant(tmp_path, capsys):
    assert ladder.main(["conv2d", "--shape", "dcgan-mnist-d1", *QUICK, "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    for name, function in kernels.variants("conv2d").items():
        assert re.search(rf"^{name.split('_')[1][1:]} .*{re.escape(function.__doc__.split()[0])}", shown, re.MULTILINE)
    assert max(map(len, shown.splitlines())) <= 150
    assert "PyTorch" not in shown
    written = json.loads((tmp_path / "ladder_conv2d.json").read_text())
    result = written["shapes"]["dcgan-mnist-d1, batch 2"]
    assert [row["name"] for row in result["rungs"]] == [*kernels.variants("conv2d"), "conv2d"]
    for row in result["rungs"]:
        assert 0 < row["error"] < 1e-5
        assert row["gflops"] == pytest.approx(result["flop"] / row["ms"]["median"] / 1e6)
        assert row["gbps"] == pytest.approx(result["bytes"] / row["ms"]["median"] / 1e6)
    assert written["machine"]["cores"] >= 1
    assert result["peaks"]["gemm_gflops"] > 0


def test_a_wrong_variant_is_caught_and_not_timed(tmp_path, capsys, monkeypatch):
    def tanh_v1_wrong(x):
        """Forget the last value."""
        y = np.tanh(x)
        y.flat[-1] = 0
        return y

    monkeypatch.setattr(pointwise, "tanh_v1_wrong", tanh_v1_wrong, raising=False)
    assert ladder.main(["tanh", "--shape", "gan-g4", *QUICK, "--out", str(tmp_path)]) == 1
    assert re.search(r"^1  Forget the last value .* WRONG", capsys.readouterr().out, re.MULTILINE)
    wrong, right = json.loads((tmp_path / "ladder_tanh.json").read_text())["shapes"]["gan-g4, batch 2"]["rungs"]
    assert wrong["wrong"]
    assert "ms" not in wrong
    assert "ms" in right


def test_a_variant_that_is_wrong_only_at_the_batch_to_be_timed_is_caught(monkeypatch):
    def tanh_v1_half(x):
        """Forget all images after the 64th."""
        y = np.zeros_like(x)
        y[:64] = np.tanh(x[:64])
        return y

    def tanh_v2_picky(x):
        """Refuse many images."""
        if len(x) > 64:
            raise ValueError("too many images")
        return np.tanh(x)

    for variant in (tanh_v1_half, tanh_v2_picky):
        monkeypatch.setattr(pointwise, variant.__name__, variant, raising=False)
    result = ladder.climb("tanh", "gan-g4", batch=70, rounds=1, turn_seconds=1e-4)
    half, picky, choice = result["rungs"]
    assert half["error"] > 0.5
    assert picky["refused"] == "too many images"
    assert all("ms" not in row for row in (half, picky))
    assert "ms" in choice
    shown = ladder.table("tanh", "gan-g4", result, PEAKS)
    assert "WRONG: not what tanh itself computes at the batch to be timed, so it is not measured" in shown
    rows = ladder.climb("tanh", "gan-g4", batch=64, rounds=1, turn_seconds=1e-4)["rungs"]
    assert all("ms" in row for row in rows)

    monkeypatch.setattr(pointwise, "tanh", np.negative)
    with kernels.use("cpu"):
        half, _, choice = ladder.climb("tanh", "gan-g4", batch=64, rounds=1, turn_seconds=1e-4)["rungs"]
    assert "wrong" not in half  # nobody is held to a choice that is wrong itself
    assert choice["wrong"] == "what the reference computes"


@pytest.mark.parametrize(
    ("result", "error"),
    [
        ([1.0, 2.0], 0.0),
        ([1.0, 2.5], 0.25),
        ([1.0, np.nan], np.inf),
        ([1.0, np.inf], np.inf),
        ([[1.0, 2.0]], np.inf),
    ],
)
def test_error_is_in_units_of_the_largest_value(result, error):
    assert ladder.error([np.array(result)], [np.array([1.0, 2.0])]) == error


def test_a_variant_may_refuse_a_shape_but_the_choice_may_not(monkeypatch):
    result = ladder.climb("conv2d", "dcgan-keras-d2", batch=2, rounds=1, turn_seconds=1e-4)
    refused = [row for row in result["rungs"] if "refused" in row]
    assert [row["name"] for row in refused] == ["conv2d_v3_winograd"]
    assert "4x4 and 5x5 at stride 2" in refused[0]["refused"]
    shown = ladder.table("conv2d", "dcgan-keras-d2", result, PEAKS)
    assert "refused: conv2d: the Winograd" in shown
    assert max(map(len, shown.splitlines())) <= 150
    right_column = " ".join(line[65:].strip() for line in shown.splitlines()[3:])
    assert refused[0]["refused"] in right_column  # to its last word: there is the advice

    def refuse(x):
        """Refuse."""
        raise ValueError("no")

    monkeypatch.setattr(pointwise, "tanh", refuse)
    with kernels.use("cpu"), pytest.raises(ValueError, match="no"):
        ladder.climb("tanh", "gan-g4", batch=2, rounds=1, turn_seconds=1e-4)


def test_a_variant_that_says_what_it_does_is_believed(monkeypatch):
    def tanh_v1_table(x):
        """Look it up."""
        return np.tanh(x)

    tanh_v1_table.flop = lambda x: x.size / 4
    monkeypatch.setattr(pointwise, "tanh_v1_table", tanh_v1_table, raising=False)
    result = ladder.climb("tanh", "gan-g4", batch=2, rounds=1, turn_seconds=1e-4)
    variant, choice = result["rungs"]
    assert variant["gflops_true"] == pytest.approx(variant["gflops"] / 4)
    assert choice["gflops_true"] is None


def test_on_the_emulator_every_variant_is_checked_and_counted(tmp_path, capsys):
    arguments = ["batch_norm", "tanh", "--shape", "infogan-q1", "dcgan-mnist-g4", "--backend=emulated", "--batch=2"]
    assert ladder.main([*arguments, "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "Counted, not timed" in shown
    assert " ms " not in shown
    for kernel, layer in (("batch_norm", "infogan-q1"), ("tanh", "dcgan-mnist-g4")):
        measured = json.loads((tmp_path / f"ladder_{kernel}_emulated.json").read_text())
        result = measured["shapes"][f"{layer}, batch 2"]
        assert [row["name"] for row in result["rungs"]] == [*kernels.variants(kernel, "gpu"), kernel]
        for row in result["rungs"]:
            assert row["error"] < 1e-5
            assert "ms" not in row
            assert row["sector_excess"] >= 1
            assert row["moved_bytes"] >= result["bytes"]
            assert 0 < row["occupancy"] <= 1
            assert row["registers"] >= 8


def test_on_the_emulator_tensor_cores_are_held_to_their_precision():
    errors = {}
    for precision in ("float32", "tf32", "bfloat16"):
        options = {"backend": "emulated", "batch": 2, "precision": precision}
        choice = ladder.climb("linear", "gan-2d-d2", **options)["rungs"][-1]
        assert "wrong" not in choice
        errors[precision] = choice["error"]
    assert errors["float32"] < 1e-5 < errors["tf32"] < 2e-3 < errors["bfloat16"] < 2e-2


@pytest.mark.parametrize(
    ("threads", "registers", "shared_bytes", "share"),
    [
        (256, 32, 0, 1.0),
        (256, 64, 0, 0.5),  # 65536 registers are 1024 threads of 64
        (256, 255, 0, 0.125),  # 255 are granted as 256
        (32, 16, 0, 0.5),  # 32 blocks of a warp
        (128, 32, 100 << 10, 0.125),  # two blocks of 100 KiB
        (1024, 40, 0, 0.5),  # a second block of 1024 threads would need 81920 registers
    ],
)
def test_occupancy(threads, registers, shared_bytes, share):
    assert emulated.occupancy(threads, registers, shared_bytes) == share


def test_measuring_on_a_gpu_without_one_is_refused_in_a_line(monkeypatch):
    monkeypatch.setattr(device.runtime, "unavailable", lambda name: f"no {name}: none was bought")
    for run in (
        lambda: ladder.main(["tanh", "--backend", "gpu"]),
        lambda: train_step.main(["--device", "gpu"]),
        lambda: train_step.main(["--device", "gpu", "--against", "torch"]),
    ):
        with pytest.raises(SystemExit, match=r"^benchmarks\.(ladder --backend|train_step --device) gpu: no gpu: none"):
            run()


def test_engines_of_a_gpu(monkeypatch):
    monkeypatch.setattr(device.runtime, "unavailable", lambda name: None)
    monkeypatch.setattr(train_step.gpu, "torch_unavailable", lambda: None)
    engines = train_step.choose_engines("gpu", "torch", False)
    assert engines[0] == "minigan-gpu"
    assert "torch-gpu-bfloat16-graph" in engines
    assert train_step.choose_engines("cpu", None, False) == ["minigan"]
    assert train_step.choose_engines("cpu", "torch", False)[1:] == [
        "torch-tutorial",
        "torch-best",
        "torch-best-allocator",
    ]


def test_first_losses_are_compared_by_precision():
    first = {"minigan-gpu": {"loss_d": 1.0, "loss_g": 1.0}, "torch-gpu-eager": {"loss_d": 1.005, "loss_g": 1.0}}
    train_step.check_same("dcgan", first)
    with pytest.raises(RuntimeError, match=r"dcgan: loss_d of the first step: torch-best 1.005, minigan 1.0"):
        train_step.check_same("dcgan", dict(zip(("minigan", "torch-best"), first.values(), strict=True)))


def test_a_worker_has_the_cpu_kernels_settings_of_malloc_only_once_it_asks_for_them():
    code = "import sys, benchmarks.memory, benchmarks.train_step; print('minigan.kernels.cpu' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_engines_begin_with_the_same_step():
    first = {}
    for engine in ("minigan", worker.MPI):
        step, batch, clock = worker.engine_step(engine, "gan-2d", 8)
        assert batch == 8
        clock.mark()
        first[engine] = {name: float(value) for name, value in step().items()}
        clock.mark()
        assert len(clock.seconds()) == 1
    train_step.check_same("gan-2d", first)


def test_batches_in_order_begin_again():
    batches = worker.InOrder(np.arange(6), 2)
    assert [next(batches).tolist() for _ in range(4)] == [[0, 1], [2, 3], [4, 5], [0, 1]]


def test_a_kernel_that_works_in_place_is_checked_by_what_it_leaves():
    (row,) = ladder.climb("adam_", "gan-2d-d3", batch=2, rounds=1, turn_seconds=1e-4)["rungs"]
    assert row["error"] < 1e-6
    assert row["gflops_true"] == row["gflops"]


def test_plans():
    assert shapes.plan(["conv2d"])["conv2d"][:2] == ["dcgan-d1", "dcgan-d2"]
    assert shapes.plan(["conv2d", "tanh"], ["dcgan-g4"]) == {"conv2d": ["dcgan-g4"]}
    assert shapes.plan(["linear"], ["gan-2d"]) == {
        "linear": ["gan-2d-d1", "gan-2d-d2", "gan-2d-d3", "gan-2d-g1", "gan-2d-g2", "gan-2d-g3"]
    }
    assert shapes.kernels_named(["pool", "conv2d"])[0] == "conv2d"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a kernel or a family, or give --all"),
        (["conv"], "--shape"),
        (["conv2"], "no kernel or family 'conv2'; did you mean conv2d"),
        (["conv2d", "--shape", "dcgan-d9"], "no shape 'dcgan-d9' of conv2d; did you mean dcgan-d"),
        (["tanh", "--batch", "1"], "--batch: expected at least 2, got 1"),
        (["tanh", "--batch", "0"], "--batch: expected at least 2, got 0"),
        (["tanh", "--rounds", "0"], "--rounds: expected at least 1, got 0"),
    ],
)
def test_arguments_that_cannot_be_are_told(arguments, message, capsys):
    with pytest.raises(SystemExit):
        ladder.main([*arguments, *(["--shape", "nowhere"] if arguments == ["conv"] else [])])
    assert message in capsys.readouterr().err


def test_a_kernel_that_no_layer_calls_is_told_where_to_enter_it(capsys, monkeypatch):
    monkeypatch.setattr(shapes, "_never_called", lambda calls: None)
    monkeypatch.setattr(shapes, "layers", shapes.layers.__wrapped__)
    with pytest.raises(SystemExit):
        ladder.main(["squared_error"])
    told = "no layer calls squared_error: add a call of it to _never_called in benchmarks/shapes.py"
    assert told in capsys.readouterr().err


def test_other_results_of_this_machine_stay(tmp_path):
    path = tmp_path / "ladder_tanh.json"
    usual = {"batch": shapes.BATCH, "precision": "float32", "rungs": []}
    ladder.merge(path, "tanh", "cpu", PEAKS, {"gan-g4": usual})
    ladder.merge(path, "tanh", "cpu", PEAKS, {"dcgan-g5": usual})
    ladder.merge(path, "tanh", "cpu", PEAKS, {"dcgan-g5": usual | {"batch": 8, "precision": "tf32"}})
    written = json.loads(path.read_text())
    assert list(written["shapes"]) == ["dcgan-g5", "dcgan-g5, batch 8, tf32", "gan-g4"]
    assert written["shapes"]["dcgan-g5"]["batch"] == shapes.BATCH
    path.write_text(json.dumps(written | {"machine": {"cpu": "another"}}))
    ladder.merge(path, "tanh", "cpu", PEAKS, {"dcgan-g5": usual})
    assert list(json.loads(path.read_text())["shapes"]) == ["dcgan-g5"]


@pytest.mark.parametrize(
    ("script", "arguments", "stand_ins"),
    [
        (ladder, ["tanh", "--shape", "gan-g4", *QUICK], {}),
        (train_step, ["--presets", "gan-2d"], {"measure": {"engines": {}}}),
        (memory, [], {"measure": {"before_bytes": 1, "peak_bytes": 2}}),
        (profile, ["gan-2d", "--steps", "1"], {}),
        (startup, [], {"measure": {"cold_s": [1.0], "warm_s": [1.0]}}),
        (features, [], {"trained": SimpleNamespace(system=None), "drawn": 0, "measure": {}, "agreement": 1.0}),
        (augmentation, ["--seeds", "1"], {"measure": {"real": 0.5, "generated": 0.5, "distorted": 0.5}}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_results_are_written_where_asked_and_nowhere_else(script, arguments, stand_ins, tmp_path, monkeypatch):
    for name, result in stand_ins.items():
        monkeypatch.setattr(script, name, lambda *_, result=result: result)

    def published():
        return {path: path.read_bytes() for path in tables.RESULTS.iterdir() if path.stem != "quality"}

    before = published()
    script.main(arguments)
    assert published() == before
    script.main([*arguments, "--out", str(tmp_path / "new" / "asked.json")])
    assert published() == before
    (written,) = (path for path in tmp_path.rglob("*.json") if path.is_file())
    assert "machine" in json.loads(written.read_text())


def dots(*places, labels):
    """A data set of images with one white pixel each."""
    images = np.full((len(places), 2, 2, 1), -1.0, np.float32)
    images.reshape(len(places), -1)[range(len(places)), places] = 1
    return data.Dataset(images, np.array(labels), "dots", "drawn here")


def test_a_nearest_neighbour_error_is_the_share_of_other_labels():
    test = dots(0, 1, 2, 3, labels=[0, 1, 2, 3])
    among = dots(3, 2, 1, labels=[3, 0, 1])  # 2 has another label here, 0 is not there
    found = neighbours.error_among(among.images, among.labels, test)
    assert found == {"images": 3, "error": 0.5, "median_distance": 0.0}
    assert neighbours.error_among(test.images[:1], test.labels[:1], test)["median_distance"] == pytest.approx(8**0.5)


def test_generated_digits_are_measured_with_and_without_those_of_a_wrong_class():
    test = dots(0, 1, labels=[0, 1])
    latents = SimpleNamespace(sample=lambda rng, n: np.arange(n), class_rows=lambda z: np.eye(2)[z % 2])
    system = SimpleNamespace(latents=latents, sample=lambda z: test.images[[1, 1, 0]])  # told 0, 1 and 0

    def classifier(images):
        return SimpleNamespace(logits=images.reshape(len(images), -1)[:, :2])

    found = neighbours.among_generated("g", system, 3, classifier, test, np.random.default_rng(0))
    assert [(name, row["images"], row["error"]) for name, row in found.items()] == [
        ("g", 3, 0.5),
        ("g, class as told", 2, 0.0),
    ]


def test_neighbours_takes_the_recipes_runs_and_writes_where_asked(tmp_path, monkeypatch, capsys):
    load, seen = data.load, []
    monkeypatch.setattr(neighbours.data, "load", lambda name, split: load("mnist-10k", split=split).head(60))
    monkeypatch.setattr(neighbours, "REAL", (20, 60))
    monkeypatch.setattr(neighbours.quality, "train", lambda recipe, seed, folder: seen.append((recipe.name, folder)))
    monkeypatch.setattr(neighbours.runs, "load", lambda folder: SimpleNamespace(system=None))
    monkeypatch.setattr(
        neighbours, "among_generated", lambda name, *_: {name: {"images": 1, "error": 0.0, "median_distance": 0.0}}
    )
    neighbours.main(["--only", "cgan", "--seed", "3", "--runs", "there", "--out", str(tmp_path / "n.json")])
    written = json.loads((tmp_path / "n.json").read_text())
    assert seen == [("cgan", Path("there/cgan-3"))]
    assert list(written["sets"]) == ["real, 20", "real, 60", "cgan"]
    assert written["sets"]["real, 20"]["error"] >= written["sets"]["real, 60"]["error"] > 0
    assert "real, 60" in capsys.readouterr().out


def test_a_classifier_replaces_minigans_own_only_where_asked(tmp_path, monkeypatch, capsys):
    network = classifier.digits(10, rng=np.random.default_rng(0))
    few = data.load("mnist-10k", split="test").head(50)
    monkeypatch.setattr(train_classifier, "train", lambda *_, **__: network)
    monkeypatch.setattr(train_classifier.data, "load", lambda name, split: few)
    before = train_classifier.RESULT.read_bytes()
    train_classifier.main(["--out", str(tmp_path / "w.npz")])
    assert train_classifier.RESULT.read_bytes() == before
    with pytest.raises(SystemExit):
        train_classifier.main([])
    assert "required: --out" in capsys.readouterr().err


def test_turns_alternate_and_a_long_call_is_made_once_a_turn():
    order = []
    times = timing.in_turns({name: lambda name=name: order.append(name) for name in "ab"}, 2, 0.0)
    assert order == ["a"] * 3 + ["b"] * 3 + ["a", "b", "a", "b"]
    assert times["a"]["q1"] <= times["a"]["median"] <= times["a"]["q3"]


class ModelOfAGPU:
    """A queue and two clocks: the host asks, the GPU does one thing after the other, no sooner than it is asked."""

    def __init__(self):
        self.host_s = self.gpu_s = 0.0
        self._marks = []

    def launch(self, asking_s, doing_s):
        self.host_s += asking_s
        self.gpu_s = max(self.gpu_s, self.host_s) + doing_s

    def synchronize(self):
        self.host_s = max(self.host_s, self.gpu_s)

    def empty(self, shape, dtype):
        return SimpleNamespace(fill=lambda value: self.launch(5e-6, 110e-6))

    def mark(self):
        self._marks.append(max(self.host_s, self.gpu_s))

    def seconds(self):
        self.synchronize()
        marks, self._marks = self._marks, []
        return np.diff(marks).tolist()


def test_a_call_of_many_launches_is_asked_for_before_the_gpu_can_begin_it(monkeypatch):
    model = ModelOfAGPU()
    monkeypatch.setattr(gpu, "device", SimpleNamespace(get=lambda name: SimpleNamespace(runtime=model)))
    monkeypatch.setattr(gpu, "Events", lambda: model)
    monkeypatch.setattr(gpu, "time", SimpleNamespace(perf_counter=lambda: model.host_s))
    compiled = []

    def many():
        if not compiled:
            compiled.append(model.launch(1.0, 0.0))
        for _ in range(20):
            model.launch(14e-6, 2e-6)

    runs = {"many": many, "one": lambda: model.launch(15e-6, 500e-6)}
    times = gpu.in_turns(runs, rounds=2, turn_seconds=0.01)
    for name, ms in (("many", 0.04), ("one", 0.5)):
        assert list(times[name].values()) == pytest.approx([ms] * 3), name
    assert [gpu.Flushed().flushes(run) for run in runs.values()] == [6, 1]


# --- profile ----------------------------------------------------------------------------------------------------------


def test_the_profile_adds_up_and_leaves_the_kernels_as_they_were():
    before = kernels.linear
    found = profile.profile("gan-2d", steps=3)
    assert kernels.linear is before
    assert {"linear", "pointwise", "optim", "loss", "python"} <= set(found["families"])
    in_kernels = sum(ms for family, ms in found["families"].items() if family != "python")
    assert sum(found["kernels"].values()) == pytest.approx(in_kernels, abs=0.05)
    assert all(ms > 0 for ms in found["families"].values())


def test_the_profile_gives_labels_to_those_who_learn_from_them(monkeypatch):
    small = dataclasses.replace(profile.PRESETS["cgan"].config, batch=4, width=4)
    monkeypatch.setitem(profile.PRESETS, "cgan", dataclasses.replace(profile.PRESETS["cgan"], config=small))
    assert profile.profile("cgan", steps=1)["step_ms"] > 0


# --- tables -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", tables.PAGES, ids=lambda page: page.parent.name)
def test_pages_show_what_was_measured(page):
    text = page.read_text(encoding="utf-8")
    assert "<!-- table:" in text
    assert tables.fill(text) == text


@pytest.fixture
def measured(tmp_path):
    """A folder of results of every kind."""
    machine = {"cpu": "a cpu", "cores": 2, "python": "3.11", "libraries": {"numpy": "2.4"}, "blas": "a blas 1"}
    ms = {"median": 2.0, "q1": 1.5, "q3": 2.5}
    rates = {"error": 1e-6, "ms": ms, "gflops": 50.0, "gflops_true": 25.0, "gbps": 3.0}
    rungs = [
        {"number": "1", "name": "conv2d_v1_direct", "idea": "Loops over |x|", **rates},
        {"number": "2", "name": "conv2d_v2_fast", "idea": "Fast", "refused": "no"},
        {"number": "", "name": "PyTorch", "idea": "PyTorch 2", **rates, "gflops_true": None},
    ]
    result = {"arguments": "x (2, 4)", "rungs": rungs, "peaks": PEAKS}
    files = {
        "ladder_conv2d": {"machine": machine, "kernel": "conv2d", "shapes": {"dcgan-d2": result}},
        "train_step": {
            "machine": machine,
            "presets": {"gan": {"batch": 128, "engines": {"minigan": {"ms": ms}, "torch": {"ms": ms, "ratio": ms}}}},
        },
        "train_step_gpu": {
            "machine": machine,
            "presets": {"gan": {"batch": 128, "engines": {f"engine-{i}": {"ms": ms} for i in range(6)}}},
        },
        "memory": {
            "machine": machine,
            "preset": "dcgan",
            "batch": 128,
            "engines": {"minigan": {"before_bytes": 1 << 20, "peak_bytes": 3 << 20}},
        },
    }
    for name, content in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("ladder conv2d", "| `dcgan-d2`: x (2, 4) | 2 |  | 2 |"),
        ("ladder conv2d dcgan-d2", r"| 1 Loops over \|x\| | 1e-06 | 2 [1.5, 2.5] | 50 | 25 | 25% | 3.0 |"),
        ("ladder conv2d dcgan-d2", "| PyTorch 2 | 1e-06 | 2 [1.5, 2.5] | 50 |  |  | 3.0 |"),
        ("train_step", "| `gan`, batch 128 | 2 [1.5, 2.5] | 2 [1.5, 2.5] (2.00 x) |"),
        ("train_step gpu", "| engine-5 | 2 [1.5, 2.5] |"),
        ("memory", "| minigan | 1 | 3 |"),
    ],
)
def test_tables_are_written_between_their_markers(name, row, measured):
    text = f"before\n<!-- table: {name} -->\nold\n<!-- end table -->\nafter\n"
    filled = tables.fill(text, measured)
    assert row in filled.splitlines()
    assert filled.startswith(f"before\n<!-- table: {name} -->\n| ")
    assert filled.endswith("\n<!-- end table -->\nafter\n")
    assert "old" not in filled
    assert "*a cpu, 2 cores; Python 3.11, numpy 2.4, BLAS a blas 1.*" in filled
    assert tables.fill(filled, measured) == filled


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- table: speed -->\n<!-- end table -->", "no table 'speed'; there are ladder KERNEL"),
        ("<!-- table: ladder -->\n<!-- end table -->", "no table 'ladder'"),
        ("<!-- table: ladder tanh -->\n<!-- end table -->", "'ladder tanh' needs ladder_tanh.json"),
        ("<!-- table: ladder conv2d gan-d1 -->\n<!-- end table -->", "conv2d has not been measured on 'gan-d1'"),
        ("<!-- table: memory -->\n", "needs an <!-- end table -->"),
        ("<!-- end table -->\n", "needs an <!-- end table -->"),
    ],
)
def test_a_table_that_cannot_be_written_says_why(text, message, measured):
    with pytest.raises(ValueError, match=re.escape(message)):
        tables.fill(text, measured)
