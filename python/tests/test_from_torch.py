"""Modules of torch as networks of ours: torch's own answers are the reference."""

import json

import numpy as np
import pytest
import smoothcert as sc

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional


def randomised(module, seed=0):
    """Statistics and scales that are not those of a fresh layer, so that a mix-up is seen."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if not tensor.is_floating_point():
                continue
            if "running_var" in name:
                tensor.uniform_(0.5, 2)
            elif tensor.dim() == 1:
                tensor.add_(0.3 * torch.randn(tensor.shape))
    return module.eval()


def same_logits(module, shape, tolerance=1e-4, **keywords):
    network = sc.from_torch(module, shape, device="cpu", **keywords)
    x = torch.rand(5, *shape) + 0.25 * torch.randn(5, *shape)
    with torch.no_grad():
        theirs = module(x).numpy()
    ours = network.forward(x.numpy())
    assert np.abs(ours - theirs).max() <= tolerance * np.abs(theirs).max()
    assert theirs.std() > 1e-3 * np.abs(theirs).max() > 0
    return network


def ops(network):
    return [layer["op"] for layer in json.loads(network.description)["layers"]]


HEAD = (nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * 4, 5))


@pytest.mark.parametrize(
    "layers, op",
    [
        ([nn.BatchNorm2d(4)], "batchnorm"),
        ([nn.BatchNorm2d(4, affine=False)], "batchnorm"),
        ([nn.GroupNorm(2, 4)], "groupnorm"),
        ([nn.InstanceNorm2d(4, affine=True)], "instancenorm"),
        ([nn.LayerNorm([4, 10, 9])], "layernorm"),
        ([nn.ReLU(inplace=True)], "relu"),
        ([nn.ReLU6()], "relu6"),
        ([nn.Hardtanh(0, 6)], "relu6"),
        ([nn.Hardsigmoid()], "relu6"),
        ([nn.LeakyReLU(0.2)], "leaky_relu"),
        ([nn.PReLU()], "prelu"),
        ([nn.PReLU(4)], "prelu"),
        ([nn.ELU(0.7)], "elu"),
        ([nn.SiLU()], "silu"),
        ([nn.Sigmoid()], "sigmoid"),
        ([nn.Tanh()], "tanh"),
        ([nn.GELU()], "gelu"),
        ([nn.GELU("tanh")], "gelu"),
        ([nn.Hardswish()], "hardswish"),
        ([nn.Softmax(1)], "softmax"),
        ([nn.Softmax2d()], "softmax"),
        ([nn.MaxPool2d(3, 2, 1)], "maxpool"),
        ([nn.MaxPool2d((2, 3), ceil_mode=True)], "maxpool"),
        ([nn.AvgPool2d(3, 2, 1, count_include_pad=False)], "avgpool"),
        ([nn.AdaptiveMaxPool2d((3, 2))], "adaptive_maxpool"),
        ([nn.Conv2d(4, 4, (3, 1), stride=(1, 2), padding=(1, 0), groups=2, bias=False)], "conv2d"),
        ([nn.Conv2d(4, 4, 3, padding="same", dilation=2)], "conv2d"),
        ([nn.Identity(), nn.Dropout(0.3), nn.Dropout2d(0.3)], None),
    ],
)
def test_every_kind_of_layer(layers, op):
    module = randomised(nn.Sequential(nn.Conv2d(3, 4, 3), *layers, *HEAD), 1)
    network = same_logits(module, (3, 12, 11))
    assert ops(network)[0] == "conv2d" and ops(network)[-1] == "linear"
    if op:
        assert op in ops(network)[1:]


class Residual(nn.Module):
    """In-place sums, arithmetic with buffers, views, concatenation, squeeze and excitation."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.5, 0.4, 0.3]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.2, 0.3, 0.25]).view(1, 3, 1, 1))
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.squeeze = nn.Conv2d(4, 4, 1)
        self.scale = nn.Parameter(torch.tensor(1.5))
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        assert x.shape[2] == x.size(3) and x.dim() == 4  # control flow on shapes is no obstacle
        x = (x - self.mean) / self.std
        y = self.conv(x)
        y = y * torch.sigmoid(self.squeeze(y.mean((2, 3), keepdim=True)))
        z = self.conv(x)  # the same weights once more
        z += y
        z = 1 - self.scale * z / 2
        pooled = F.adaptive_avg_pool2d(torch.cat([F.relu(z), -y], dim=1), 1)
        return self.fc(pooled.view(pooled.size(0), -1)) + 0.1


def test_what_forward_functions_do():
    module = randomised(Residual())
    network = same_logits(module, (3, 8, 8))
    first = json.loads(network.description)["layers"][0]
    assert first["op"] == "normalize" and first["std"] == pytest.approx([0.2, 0.3, 0.25])
    assert ops(network).count("normalize") >= 1 and "mul" in ops(network) and "concat" in ops(network)
    assert {"conv.weight", "conv_2.weight"} <= set(network.tensors())


def test_a_difference_that_is_used_twice_is_kept():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(32, 3)

        def forward(self, x):
            difference = x - 0.5
            return self.fc(torch.cat([difference / 0.25, difference], 1).flatten(1))

    same_logits(randomised(Twice()), (1, 4, 4))


def test_a_saved_network_is_certified(tmp_path):
    module = randomised(Residual())
    network = sc.from_torch(module, np.zeros((3, 8, 8), np.uint8), name="residual", clamp=True)
    network.save(tmp_path / "residual.safetensors")
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 8, 8), dtype=np.uint8)
    settings = dict(sigma=0.25, n0=50, n=2000, alpha=0.01, quiet=True, clamp=True)
    native = sc.certify(tmp_path / "residual.safetensors", images, np.zeros(3, int), **settings)
    external = sc.certify(module, images, np.zeros(3, int), **settings)
    assert native.guarantee == "sound as executed"
    differing = np.abs(native.counts.astype(int) - external.counts.astype(int)).sum() / 2
    assert differing <= 0.001 * 3 * 2000


def twin(name):
    """A network of ours in torch's own layers, with the same weights."""
    net = sc.Network.initialise(name, 1, device="cpu")
    tensors = {k: torch.from_numpy(v.copy()) for k, v in net.tensors().items()}
    layers = json.loads(net.description)["layers"]

    class Twin(nn.Module):
        def forward(self, x):
            values, last = {"input": x}, x
            for layer in layers:
                inputs = [values[i] for i in layer["inputs"]] if "inputs" in layer else [last]
                last = self.one(layer, inputs)
                values[layer.get("name", "")] = last
            return last

        def one(self, layer, inputs):
            op, n, x = layer["op"], layer.get("name"), inputs[0]
            get = lambda what: tensors.get(f"{n}.{what}")
            window = [layer.get(k, d) for k, d in (("stride", None), ("padding", 0))]
            if op == "conv2d":
                return F.conv2d(x, get("weight"), get("bias"), window[0] or 1, window[1])
            if op == "linear":
                return F.linear(x, get("weight"), get("bias"))
            if op == "batchnorm":
                return F.batch_norm(x, get("running_mean"), get("running_var"), get("weight"), get("bias"), eps=layer["eps"])
            if op in ("maxpool", "avgpool"):
                pool = F.max_pool2d if op == "maxpool" else F.avg_pool2d
                return pool(x, layer["kernel"], *window)
            if op == "normalize":
                mean, std = (torch.tensor(layer[k]).view(-1, 1, 1) for k in ("mean", "std"))
                return (x - mean) / std
            if op == "add":
                return inputs[0] + inputs[1]
            if op == "concat":
                return torch.cat(inputs, 1)
            if op == "global_avg_pool":
                return F.adaptive_avg_pool2d(x, 1)
            return {"relu": F.relu, "flatten": lambda v: v.flatten(1)}[op](x)

    return Twin().eval(), net


@pytest.mark.parametrize("name", ["convnn", "lenet", "mlp", "cifar-cnn", "resnet20", "densenet-40", "vgg16-bn"])
def test_our_own_networks_come_back(name):
    module, net = twin(name)
    back = sc.from_torch(module, net.shape, device="cpu")
    x = np.random.default_rng(0).random((4, *net.shape), np.float32)
    theirs, ours = net.forward(x), back.forward(x)
    assert np.abs(theirs - ours).max() <= 1e-4 * np.abs(theirs).max()
    assert back.classes == net.classes and back.shape == net.shape


@pytest.mark.parametrize(
    "name", ["resnet18", "vgg11_bn", "densenet121", "mobilenet_v2", "mobilenet_v3_small", "googlenet"]
)
def test_torchvision(name):
    models = pytest.importorskip("torchvision").models
    more = {"init_weights": False} if name == "googlenet" else {}
    torch.manual_seed(0)
    same_logits(getattr(models, name)(weights=None, num_classes=10, **more).eval(), (3, 64, 64), tolerance=1e-3)


@pytest.mark.parametrize("name", ["resnet18", "resnetv2_50", "efficientnet_b0"])
def test_timm(name):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    module = timm.create_model(name, pretrained=False, num_classes=10).eval()
    same_logits(module, (3, 64, 64), tolerance=1e-3)


class Choosing(nn.Module):
    def forward(self, x):
        if x.max() > 2:
            x = x / 255
        return x.flatten(1)


class Moving(nn.Module):
    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


class Once(nn.Module):
    """Adds what the first image was: no call shows it, other inputs do."""

    def __init__(self):
        super().__init__()
        self.held = None

    def forward(self, x):
        if self.held is None:
            self.held = torch.from_numpy(np.asarray(torch.zeros(1)) + 1.0).float()
        else:
            self.held = self.held + 1
        return x.flatten(1) * self.held


@pytest.mark.parametrize(
    "module, words",
    [
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Softplus(), nn.Flatten()), r"layer '1' \(Softplus\).*softplus"),
        (nn.Sequential(nn.Flatten(), nn.TransformerEncoderLayer(16, 4, batch_first=True)), "MultiheadAttention"),
        (nn.Sequential(nn.BatchNorm2d(1, track_running_stats=False), nn.Flatten()), "over the batch"),
        (nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect"), nn.Flatten()), "pad"),
        (nn.Sequential(nn.Flatten(), nn.Softmax(0)), "softmax over dimension 0"),
        (nn.Sequential(nn.Linear(4, 4), nn.Flatten()), "4 dimensions"),
        (Choosing(), "max has no counterpart"),
        (Moving(), "permute has no counterpart"),
        (Once(), "logits differ"),
        (nn.Conv2d(1, 2, 3), "N×classes"),
        (nn.Flatten().double(), None),
        (nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).double(), "float64"),
    ],
)
def test_what_cannot_be_said_here_is_refused_by_name(module, words):
    if words is None:
        assert ops(sc.from_torch(module.eval(), (1, 4, 4))) == ["flatten"]
        return
    with pytest.raises(sc.Error, match=words) as caught:
        sc.from_torch(module.eval(), (1, 4, 4))
    if "float64" not in words:
        assert "works all the same" in str(caught.value)


def test_other_refusals():
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    with pytest.raises(sc.UsageError, match="training mode"):
        sc.from_torch(net, (1, 4, 4))
    net.eval()
    with pytest.raises(sc.UsageError, match="torch.jit"):
        sc.from_torch(nn.Sequential(torch.jit.script(net)).eval(), (1, 4, 4))
    with pytest.raises(sc.UsageError, match="shape"):
        sc.from_torch(net, torch.zeros(4, 4))
    with pytest.raises(sc.UsageError, match="no nn.Module"):
        sc.from_torch(lambda x: x, (1, 4, 4))
