"""Compare evaluating a network on the centre crop and ten crops with a plain loop in float32, in one run.

    python benchmarks/evaluation.py [key=value ...]

All keys are those of train.py; model.width=0.25, model=alexnet_2012 and so on choose the network, which has
random weights, as have the images. The ways take turns, so that a machine that slows down slows all of them;
the ratios are taken round by round.

bf16-mixed, 32-true  as evaluate.py does it, in either precision
plain                each crop of each batch through the network as it is built, in float32
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import torch
from end_to_end import spread
from hydra import compose, initialize_config_dir

from alexnet.config import TrainConfig, ValCrops
from alexnet.config.arguments import quote_arguments
from alexnet.config.composition import register
from alexnet.config.reading import read_config
from alexnet.data.augmentation import Crops
from alexnet.evaluation.evaluate import prepare_network
from alexnet.hardware import cpu_model, ieee_float32, resolve_device
from alexnet.models.build import build_network
from alexnet.paths import CONF
from alexnet.runs.trained_model import TrainedModel, probabilities_by_crops

KINDS = (ValCrops.center, ValCrops.ten)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=2, help="of 32 images, of each way in each round")
    arguments, overrides = parser.parse_known_args()
    register("train", TrainConfig)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = read_config(compose("train", quote_arguments(overrides, TrainConfig)), TrainConfig)
    device, side = resolve_device(config.trainer.accelerator), config.data.resize_size
    images = torch.randint(0, 256, (32, 3, side, side), dtype=torch.uint8)
    plain, fast = _network(config), _network(config)
    prepare_network(fast.network, 10_000)  # calls: enough for the LRN to be compiled

    def by_program(*, bfloat16: bool) -> None:
        probabilities_by_crops(fast, images, KINDS, device, bfloat16=bfloat16)

    @ieee_float32()
    def by_loop() -> None:
        network = plain.network.to(device)
        with torch.inference_mode():
            for crop in plain.crops.ten(images.to(device)).unbind(1):
                network(crop).softmax(1).cpu()

    ways: dict[str, Callable[[], None]] = {
        "bf16-mixed": lambda: by_program(bfloat16=True),
        "32-true": lambda: by_program(bfloat16=False),
        "plain": by_loop,
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for round_number in range(arguments.rounds + 1):
        for name, way in ways.items():
            began = time.perf_counter()
            for _ in range(arguments.batches):
                way()
            if round_number:  # in the first one, layers are compiled
                rates[name].append(arguments.batches * len(images) / (time.perf_counter() - began))
    where = cpu_model() if device.type == "cpu" else torch.cuda.get_device_name(device)
    print(f"{where}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{'':12}{'images/s: median (min-max)':>30}{'this / plain: median (min-max)':>34}")
    for name, measured in rates.items():
        ratios = [rate / other for rate, other in zip(measured, rates["plain"], strict=True)]
        print(f"{name:12}{spread(measured, '.1f'):>30}{spread(ratios, '.2f'):>34}")


def _network(config: TrainConfig) -> TrainedModel:
    torch.manual_seed(config.seed)
    side = config.model.image_size
    network = build_network(config.model, 1000).eval().requires_grad_(False)
    crops = Crops(torch.zeros(3, side, side), config.data.resize_size - side)
    return TrainedModel(Path("random"), network, crops, config.data.resize_size, (), ())


if __name__ == "__main__":
    main()
