"""Drawing fresh weights so that features keep their variance from layer to layer."""

from __future__ import annotations

import torch
from torch import nn

from srviewer.networks.bsrn import BSRN
from srviewer.networks.maffsrn import MAB

_AFTER_ACTIVATION = 2**0.5  # a Leaky ReLU halves the variance of what has no mean
_AFTER_ATTENTION = 2.0  # two sigmoids let about half through
_DETAILS = 0.1  # of the last layer's weights: what a fresh network adds to a picture is noise


@torch.no_grad()
def draw_evenly(network: nn.Module) -> None:
    """Draw the weights of a network's convolutions anew, in place (He et al., ICCV 2015, equation 10).

    As torch draws them, each pair of a pointwise and a depthwise convolution shrinks its input's variance by
    nine, and a MAB of MAFFSRN by more than a hundred. A network of many such layers stays for long at what a
    linear filter reaches, and a short training cannot spare that.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    for layer in network.modules():
        if isinstance(layer, MAB):
            layer.conv1.weight.mul_(_AFTER_ACTIVATION)
            layer.conv2.weight.mul_(_AFTER_ATTENTION)
        elif isinstance(layer, BSRN):
            layer.upsample.weight.mul_(_DETAILS)
