"""A training step captured once as a CUDA graph and replayed: small models otherwise wait for Python and launches.

The tests go through it on a CPU, with a stand-in for the capture, and on a GPU where there is one (`tests/gpu`).
"""

from collections.abc import Callable

import torch

# Steps run as usual before the capture, on a stream of their own: libraries and the optimizer set themselves up.
WARM_UP_STEPS = 3


class GraphedStep:
    """Calls `step(*batch)`: as usual at first, then by replaying what it did on the GPU.

    Every call is one step, as if `step` had been called as usual; the next call overwrites the tensor that it returns.
    Batches whose shape is not that of the first (the last of an epoch, say) are run as usual.

    Args:
        step: takes tensors and returns one tensor. It must do the same work for any values of its tensors, read none
            of them on the host, and leave no gradients behind.
    """

    def __init__(self, step: Callable[..., torch.Tensor]):
        self._step = step
        self._steps = 0
        self._shapes: list[torch.Size] | None = None
        self._batch: list[torch.Tensor] = []
        self._result: torch.Tensor | None = None
        self._replay: Callable[[], None] | None = None

    def __call__(self, *batch: torch.Tensor) -> torch.Tensor:
        shapes = [tensor.shape for tensor in batch]
        self._shapes = self._shapes or shapes
        if shapes != self._shapes:
            return self._step(*batch)
        self._steps += 1
        if self._steps <= WARM_UP_STEPS:
            return run_aside(self._step, batch)
        if self._replay is None:
            self._batch = [tensor.clone() for tensor in batch]
            self._replay, self._result = capture(lambda: self._step(*self._batch))
        for new, kept in zip(batch, self._batch, strict=True):
            kept.copy_(new)
        self._replay()
        assert self._result is not None
        return self._result


def run_aside(step: Callable[..., torch.Tensor], batch: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Run a step on a stream of its own, as PyTorch requires before a capture."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        result = step(*batch)
    torch.cuda.current_stream().wait_stream(stream)
    return result


def capture(step: Callable[[], torch.Tensor]) -> tuple[Callable[[], None], torch.Tensor]:
    """Record what a step does on the GPU, without doing it; return what replays it, and where its result will be."""
    graph = torch.cuda.CUDAGraph()
    torch.cuda.synchronize()
    with torch.cuda.graph(graph):
        result = step()
    return graph.replay, result
