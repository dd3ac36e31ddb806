"""Forward and backward pass of a stack of networks in training, compiled: on the CPU, in float32.

The layers are small: PyTorch takes longer to start the 150 operations of a step than to compute them. Here
one model after the other goes through all of its layers. Except for rounding, the derivatives are those of
PyTorch's own backward pass (`DensityModel.gradient`).

Shapes: S models, N rows, d features, P weights of a model, W the sum of its layers' outputs, K what its last
layers give for a row.
"""

import numpy as np

from ..compiled import compiled

#: The columns of a network's plan, which has a row for each layer: number of inputs and outputs; the place of
#: the layer's weights in a row of theta (its bias is behind them); the layer that its inputs are from, -1 for
#: x, and the first of them there; whether dropout and ReLU follow; whether it is one of the last layers.
N_IN, N_OUT, PLACE, SOURCE, FIRST, DROPOUT, RELU, LAST = range(8)

_compiled = compiled(error_model="numpy")
_inlined = compiled(error_model="numpy", inline="always")


@_inlined
def _output(outputs, plan, i, rows):  # type: ignore[no-untyped-def]
    """The part [N, outputs] of layer i in what is kept of all layers [N * W]."""
    start = rows * plan[:i, N_OUT].sum()
    return outputs[start : start + rows * plan[i, N_OUT]].reshape(rows, plan[i, N_OUT])


@_inlined
def _input(outputs, plan, i, x):  # type: ignore[no-untyped-def]
    """What goes into layer i, [N, inputs]."""
    source, first, n_in = plan[i, SOURCE], plan[i, FIRST], plan[i, N_IN]
    if source < 0:
        return x
    output = _output(outputs, plan, source, len(x))
    return output if n_in == output.shape[1] else np.ascontiguousarray(output[:, first : first + n_in])


@_inlined
def _weights(theta, plan, i):  # type: ignore[no-untyped-def]
    """Weight [in, out] and bias [out] of layer i, in a model's row of theta [P]."""
    n_in, n_out, place = plan[i, N_IN], plan[i, N_OUT], plan[i, PLACE]
    bias = place + n_in * n_out
    return theta[place:bias].reshape(n_in, n_out), theta[bias : bias + n_out]


# Here and not in `masks`: numba compiles it into those below, and would not see a change in another file.
@compiled()
def scale_kept(x, bits, level, factor):  # type: ignore[no-untyped-def]
    """Multiplies the elements of x by 0, or by `factor` where their bits reach the level."""
    nothing = factor * 0
    for i in range(len(x)):
        x[i] *= factor if bits[i] >= level else nothing  # a product: NaN stays NaN


@_compiled
def forward(plan, theta, x, bits, level, factor):  # type: ignore[no-untyped-def]
    """The outputs of all layers, one layer behind the other [S, N * W], and those of the last ones [S, N, K].

    Args:
        plan: [layers, 8].
        theta: [S, P].
        x: [S, N, d].
        bits, level, factor: what `scale_kept` takes; bits has at least N times as many columns as there are
            outputs with dropout, [S, ...].
    """
    rows, sizes = x.shape[1], plan[:, N_OUT]
    outputs = np.empty((len(x), rows * sizes.sum()), np.float32)
    raw = np.empty((len(x), rows, (sizes * plan[:, LAST]).sum()), np.float32)
    for s in range(len(x)):
        drawn = column = 0
        for i in range(len(plan)):
            weight, bias = _weights(theta[s], plan, i)
            output = _output(outputs[s], plan, i, rows)
            np.dot(_input(outputs[s], plan, i, x[s]), weight, output)
            for row in range(rows):
                output[row] += bias
            if plan[i, DROPOUT]:
                scale_kept(output.reshape(-1), bits[s, drawn:], level, factor)
                drawn += output.size
            if plan[i, RELU]:
                np.maximum(output, np.float32(0), output)  # NaN stays NaN
            if plan[i, LAST]:
                raw[s, :, column : column + sizes[i]] = output
                column += sizes[i]
    return outputs, raw


@_compiled
def backward(plan, theta, x, bits, level, factor, outputs, by_raw, gradient):  # type: ignore[no-untyped-def]
    """Writes the derivatives by theta to `gradient` [S, P].

    Args:
        outputs: what `forward` returned.
        by_raw: the derivatives by what the last layers gave, [S, N, K].
    """
    rows, sizes = x.shape[1], plan[:, N_OUT]
    by_outputs = np.empty(outputs.shape[1], np.float32)
    for s in range(len(x)):
        drawn, column = rows * (sizes * plan[:, DROPOUT]).sum(), by_raw.shape[2]
        for i in range(len(plan) - 1, -1, -1):
            by_output = _output(by_outputs, plan, i, rows)
            if plan[i, LAST]:
                column -= sizes[i]
                by_output[:] = by_raw[s, :, column : column + sizes[i]]
            if plan[i, RELU]:
                output, slope = _output(outputs[s], plan, i, rows).reshape(-1), by_output.reshape(-1)
                for j in range(len(output)):
                    slope[j] = np.float32(0) if output[j] <= 0 else slope[j]
            if plan[i, DROPOUT]:
                drawn -= by_output.size
                scale_kept(by_output.reshape(-1), bits[s, drawn:], level, factor)
            by_weight, by_bias = _weights(gradient[s], plan, i)
            np.dot(_input(outputs[s], plan, i, x[s]).T, by_output, by_weight)
            by_bias[:] = np.float32(0)
            for row in range(rows):
                by_bias += by_output[row]
            if plan[i, SOURCE] >= 0:
                weight, first = _weights(theta[s], plan, i)[0], plan[i, FIRST]
                by_source = _output(by_outputs, plan, plan[i, SOURCE], rows)
                by_source[:, first : first + len(weight)] = np.dot(by_output, weight.T)
