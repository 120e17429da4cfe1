"""What registration and the compiled modules promise, whatever the operator."""

import multiprocessing
import pickle

import numpy as np
import pytest
import torch

from geodet import _core
from geodet.errors import DeviceError
from geodet.ops import _backend, pairwise_box_iou


def test_bindings_refuse_wrong_arrays():
    """Dtype, rank, size, contiguity and writability are checked before memory is touched."""
    boxes = np.ones((3, 4), np.float32)
    out = np.empty((3, 3), np.float32)
    with pytest.raises(TypeError, match="b: expected dtype float32, got float64"):
        _core.pairwise_box_overlap(boxes, boxes.astype(np.float64), 1, out, 1)
    with pytest.raises(ValueError, match="a: expected rank 2, got 1"):
        _core.pairwise_box_overlap(boxes[0], boxes, 1, out, 1)
    with pytest.raises(ValueError, match="a: expected size 4 in dimension 1, got 3"):
        _core.pairwise_box_overlap(np.ones((3, 3), np.float32), boxes, 1, out, 1)
    with pytest.raises(ValueError, match="a: expected a C-contiguous array"):
        _core.pairwise_box_overlap(np.ones((4, 3), np.float32).T, boxes, 1, out, 1)
    with pytest.raises(ValueError, match="out: expected size 3 in dimension 0, got 2"):
        _core.pairwise_box_overlap(boxes, boxes, 1, out[:2], 1)
    with pytest.raises(ValueError, match="invalid argument"):
        _core.pairwise_box_overlap(boxes, boxes, 6, out, 1)
    with pytest.raises(ValueError, match="b: expected size 3 in dimension 0, got 2"):
        _core.matched_box_overlap(boxes, boxes[:2], 1, out[0], 1)
    grads = [np.zeros((3, 4), np.float32), np.zeros((2, 4), np.float32)]
    with pytest.raises(ValueError, match="grad: expected size 2 in dimension 1, got 3"):
        _core.pairwise_box_gradients(boxes, boxes[:2], 1, out, *grads)
    with pytest.raises(ValueError, match="b: expected size 3 in dimension 0, got 2"):
        _core.matched_box_gradients(boxes, boxes[:2], 1, out[0], *grads)
    with pytest.raises(ValueError, match="grad_b: expected size 3 in dimension 0, got 2"):
        _core.matched_box_gradients(boxes, boxes, 1, out[0], *grads)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="not writeable"):
        _core.pairwise_box_overlap(boxes, boxes, 1, out, 1)


def test_status_codes_become_python_errors():
    """An index out of its array is an IndexError, a bad number a ValueError."""
    maps, out = np.ones((1, 1, 4, 4), np.float32), np.empty((1, 1, 2, 2), np.float32)
    rois = np.array([[1, 0, 0, 2, 2]], np.float32)
    with pytest.raises(IndexError, match="outside its array"):
        _core.roi_align(maps, rois, out, 1.0, 0, True, False, 1)
    boxes, scores = np.ones((2, 4), np.float32), np.ones(2, np.float32)
    with pytest.raises(ValueError, match="invalid argument"):
        _core.nms(boxes, scores, None, float("nan"))


def test_other_devices_are_refused():
    """A device without a kernel is named; nothing falls back silently."""
    with pytest.raises(DeviceError, match="expected a CPU or CUDA tensor, got one on meta"):
        _backend.on_cuda(torch.empty(1, device="meta"))


@pytest.mark.parametrize("shape", [(3, 5), (2000, 3000), (0, 7)])
@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float32, torch.float64])
def test_buffers_have_the_shape_and_dtype_asked_for(shape, dtype):
    """Small and large buffers differ in where their pages come from, not in what they are."""
    like = torch.zeros(1)
    for make in (_backend.empty, _backend.zeros):
        buffer = make(shape, like, dtype)
        assert buffer.shape == shape
        assert buffer.dtype == dtype
        assert buffer.is_contiguous()
    assert not _backend.zeros(shape, like, dtype).any()
    assert _backend.empty(shape, like).dtype == like.dtype


def _total_iou(boxes):
    # Summed by NumPy: torch would start OpenMP's threads, and OpenMP hangs in a forked child
    # when its parent has used them.
    return float(pairwise_box_iou(boxes, boxes).numpy().sum(dtype=np.float64))


def _iou_in_child(queue, boxes):
    queue.put(_total_iou(boxes))


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork"
)
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_workers_have_threads_of_their_own():
    """A worker forked after the pool has started neither hangs nor computes another result."""
    boxes = torch.rand(1500, 4, generator=torch.Generator().manual_seed(0)).cumsum(dim=1)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        expected = _total_iou(boxes)
    finally:
        torch.set_num_threads(before)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_iou_in_child, args=(queue, boxes))
    child.start()
    assert queue.get(timeout=60) == expected
    child.join(timeout=60)
    assert child.exitcode == 0


def test_results_can_be_pickled():
    """Tensors on memory from NumPy survive being sent to another process."""
    large = pairwise_box_iou(torch.rand(1100, 4), torch.rand(1100, 4))
    assert torch.equal(pickle.loads(pickle.dumps(large)), large)  # noqa: S301 - our own bytes
