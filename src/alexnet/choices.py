"""The values of keys that take one of a few words; Hydra accepts no others."""

from enum import Enum, StrEnum


class Family(Enum):
    """Which class builds a network."""

    alexnet = "alexnet"
    lenet5 = "lenet5"
    torchvision = "torchvision"


class Activation(Enum):
    """Nonlinearity after every layer but the last."""

    relu = "relu"
    tanh = "tanh"
    sigmoid = "sigmoid"
    identity = "identity"


class Pooling(Enum):
    """Max pooling after conv 1, 2 and 5: 3x3 windows 2 apart, or 2x2 windows 2 apart."""

    overlapping = "overlapping"
    non_overlapping = "non_overlapping"


class Layer1Order(Enum):
    """Order of the stages between conv1 and conv2."""

    activation_lrn_pool = "activation_lrn_pool"
    lrn_pool_activation = "lrn_pool_activation"


class DropoutScaling(Enum):
    """Where dropout's expectation is kept: multiply by 1-p at test, or by 1/(1-p) in training."""

    test = "test"
    train = "train"


class DropoutPlace(Enum):
    """Which side of fc6 and fc7 is dropped."""

    output = "output"
    input = "input"


class Init(Enum):
    """Initial weights and biases, see `alexnet.model.initialization`."""

    paper = "paper"
    program_2012 = "program_2012"
    caffe = "caffe"
    pytorch = "pytorch"
    he = "he"


class DataSource(Enum):
    """Where the images come from."""

    synthetic = "synthetic"
    folder = "folder"
    cifar10 = "cifar10"
    imagenette = "imagenette"
    imagenet = "imagenet"


class PackFormat(Enum):
    """What a pack holds: pixels as they are, or JPEG files of a tenth of their size."""

    raw = "raw"
    jpeg = "jpeg"


class MeanKind(Enum):
    """What is subtracted: a mean for each pixel, for each channel, or nothing."""

    pixel = "pixel"
    channel = "channel"
    zero = "zero"


class ValCrops(Enum):
    """What validation sees of an image: its centre, or the mean over ten crops."""

    center = "center"
    ten = "ten"


class ColorScale(Enum):
    """How far one standard normal draw moves an image along a principal component."""

    standard_deviation = "standard_deviation"
    eigenvalue = "eigenvalue"


class UpdateRule(Enum):
    """Where the learning rate enters: inside the velocity (paper) or outside it (PyTorch)."""

    paper = "paper"
    pytorch = "pytorch"


class Schedule(Enum):
    """How the learning rate changes over a run."""

    constant = "constant"
    step = "step"
    plateau = "plateau"
    cosine = "cosine"


class Strategy(Enum):
    """Where the network runs."""

    auto = "auto"
    single = "single"
    ddp = "ddp"
    fsdp = "fsdp"
    model_parallel = "model_parallel"


class Accelerator(Enum):
    """Kind of device."""

    auto = "auto"
    cpu = "cpu"
    gpu = "gpu"
    mps = "mps"


class Logger(Enum):
    """Where metrics go beside the run folder."""

    wandb = "wandb"
    csv = "csv"


class WandbMode(Enum):
    """`auto` is online where somebody is logged in, offline elsewhere."""

    auto = "auto"
    online = "online"
    offline = "offline"


class Compile(Enum):
    """What torch.compile makes of a network."""

    auto = "auto"
    network = "network"
    lrn = "lrn"
    none = "none"


class ExportFormat(Enum):
    """What a trained network is exported as."""

    onnx = "onnx"
    torch_export = "torch_export"
    safetensors = "safetensors"


class Difference(Enum):
    """What runs must have in common to be compared, unless they are allowed to differ in it."""

    code = "code"
    data = "data"
    epochs = "epochs"
    precision = "precision"


class NonFinite(Enum):
    """What to do at a step whose loss or gradients are not finite numbers."""

    stop = "stop"
    skip = "skip"


class Features(StrEnum):
    """What `classical.py` describes an image by. A StrEnum: model.name is this word, too."""

    hog = "hog"
    color = "color"
    hog_and_color = "hog_and_color"


class Program(Enum):
    """What benchmark.py times a training step of."""

    ours = "ours"
    ours_compiled = "ours_compiled"
    ours_plain = "ours_plain"
    stock_float32 = "stock_float32"
    stock_bfloat16 = "stock_bfloat16"
    torchvision_float32 = "torchvision_float32"
    torchvision_bfloat16 = "torchvision_bfloat16"
    torchvision_compiled = "torchvision_compiled"
