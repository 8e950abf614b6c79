"""Makes `mdxnet_small.onnx`, as PyTorch 1.9 made the files of KUIELab: with convolutions that contain what
normalisation follows them, and without most tensors' names.

    pip install onnx; python -m tests.references.mdxnet_onnx
"""

import torch
from torch import Tensor, nn

from cadenza_remix.demix import mdxnet, tfc_tdf
from tests.references.networks import FOLDER, fill

WIDTH, BINS, LEVELS, FRAMES = 4, 32, 1, 8


def small() -> tfc_tdf.TfcTdfUNet:
    """A network with weights by formula."""
    tfc_tdf.WIDTH, mdxnet.BINS = WIDTH, BINS
    network = mdxnet.target("drums", LEVELS)
    state = {name: fill(name, tuple(x.shape)) for name, x in network.state_dict().items()}
    network.load_state_dict(state)
    return network.eval()


class Graph(nn.Module):
    """What the files hold: spectrogram to spectrogram."""

    def __init__(self) -> None:
        super().__init__()
        self.network = small()

    def forward(self, parts: Tensor) -> Tensor:
        return self.network.estimate(parts)


if __name__ == "__main__":
    parts = torch.zeros(1, tfc_tdf.PARTS, BINS, FRAMES)
    file = str(FOLDER / "mdxnet_small.onnx")
    torch.onnx.export(Graph().eval(), (parts,), file, dynamo=False, input_names=["input"], opset_version=9)
