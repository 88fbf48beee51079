"""Where the time of some training steps goes: a GPU's kernels, or a CPU's operations, by kind."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass

from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

# The first kind that has a part of the kernel's name; names are of cuBLAS, cuDNN, torch and Triton.
_KINDS = {
    "attention": ("flash", "fmha", "sdpa", "attention"),
    "optimiser, clipping": ("multi_tensor", "adam", "foreach", "lpnorm"),
    "fused by the compiler": ("triton", "cpp_fused"),
    "matrix products": ("gemm", "nvjet", "cutlass", "xmma", "splitk", "addmm", "::mm"),
    "copies": ("memcpy", "memset", "copy"),
}
_OTHER = "other"


@dataclass(frozen=True)
class StepProfile:
    """Seconds of all profiled steps together."""

    wall_s: float
    kernel_s: dict[str, float]
    """By kernel, the longest first."""
    calls: dict[str, int]

    @property
    def kind_s(self) -> dict[str, float]:
        """By kind of kernel, the longest first."""
        seconds: Counter[str] = Counter()
        for name, value in self.kernel_s.items():
            seconds[kind_of(name)] += value
        return dict(seconds.most_common())


def kind_of(kernel: str) -> str:
    """The kind of a kernel, by its name.

    >>> kind_of("nvjet_tst_128x256_64x4_2x1_v_bz_coopA_TNN"), kind_of("triton_red_fused_0")
    ('matrix products', 'fused by the compiler')
    """
    name = kernel.lower()
    return next((kind for kind, parts in _KINDS.items() if any(p in name for p in parts)), _OTHER)


class Profiling:
    """Begins when it is made."""

    def __init__(self, device: str) -> None:
        self._gpu = device == "cuda"
        activity = ProfilerActivity.CUDA if self._gpu else ProfilerActivity.CPU
        self._profile = profile(activities=[activity])
        self._profile.start()
        self._began_s = time.perf_counter()

    def end(self) -> StepProfile:
        """What has run since; the caller has waited for the device."""
        wall_s = time.perf_counter() - self._began_s
        self._profile.stop()
        seconds: Counter[str] = Counter()
        calls: Counter[str] = Counter()
        for event in self._profile.events():
            if self._gpu and (event.device_type != DeviceType.CUDA or event.is_user_annotation):
                continue
            micros = event.time_range.elapsed_us() if self._gpu else event.self_cpu_time_total
            seconds[event.name] += micros / 1e6
            calls[event.name] += 1
        return StepProfile(wall_s, dict(seconds.most_common()), dict(calls))
