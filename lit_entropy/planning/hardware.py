"""Facts about accelerators, and the rates that a plan assumes of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

GB = 1e9


@dataclass(frozen=True)
class Hardware:
    """One device.

    Attributes:
        name: as on the command line.
        memory: bytes. The vendors' decimal gigabytes: what the chips hold beyond them (7 % on an
            H100) is left for the CUDA context and fragmentation.
        flops: peak dense operations a second in bfloat16, accumulated in float32.
        bandwidth: bytes a second of the device's memory.
        link: bytes a second in one direction to another device of the machine.
    """

    name: str
    memory: float
    flops: float
    bandwidth: float
    link: float

    def but(
        self, memory_gb: float | None, tflops: float | None, bandwidth_gbs: float | None
    ) -> Hardware:
        """The same with the numbers that are given in their place.

        Raises:
            ValueError: a number is not above 0.
        """
        given = {"memory_gb": memory_gb, "tflops": tflops, "bandwidth": bandwidth_gbs}
        for name, value in given.items():
            if value is not None and not value > 0:
                raise ValueError(f"{name}={value} must be above 0")
        return replace(
            self,
            memory=self.memory if memory_gb is None else memory_gb * GB,
            flops=self.flops if tflops is None else tflops * 1e12,
            bandwidth=self.bandwidth if bandwidth_gbs is None else bandwidth_gbs * GB,
        )


#: From the vendor's data sheets (H100 SXM5, A100 SXM4, L40S, and the Ada architecture paper for the
#: RTX 4090); dense rates, without structured sparsity. Links: NVLink 4 and 3, PCIe 4.0 x16. The
#: entry cpu is a laptop core's order of magnitude: measure yours and give --tflops, --bandwidth.
HARDWARE = {
    device.name: device
    for device in (
        Hardware("h100", 80 * GB, 989e12, 3350 * GB, 450 * GB),
        Hardware("a100-80", 80 * GB, 312e12, 2039 * GB, 300 * GB),
        Hardware("a100-40", 40 * GB, 312e12, 1555 * GB, 300 * GB),
        Hardware("l40s", 48 * GB, 362e12, 864 * GB, 32 * GB),
        Hardware("rtx4090", 24 * GB, 165e12, 1008 * GB, 32 * GB),
        Hardware("cpu", 16 * GB, 0.05e12, 10 * GB, 10 * GB),
    )
}


@dataclass(frozen=True)
class Rates:
    """What share of the peaks is reached: assumptions, printed with every plan.

    Attributes:
        utilisation: of the peak operations in training and prefill (0.3 to 0.5 is usual for dense
            models of this size).
        decode: of the memory's bandwidth while tokens are generated.
        layer: seconds that a layer's forward pass takes however little it computes: launching its
            kernels.
        network: bytes a second and device between machines (a 400 Gb/s adapter each).
        folder: bytes a second to and from a folder that several machines see.
        devices_a_machine: devices that share the faster links.
    """

    utilisation: float = 0.4
    decode: float = 0.6
    layer: float = 5e-5
    network: float = 50 * GB
    folder: float = 2 * GB
    devices_a_machine: int = 8

    def __post_init__(self) -> None:
        for name in ("utilisation", "decode"):
            if not 0 < getattr(self, name) <= 1:
                option = {"decode": "decode_efficiency"}.get(name, name)
                raise ValueError(f"{option}={getattr(self, name)} must lie in (0, 1]")

    def link(self, hardware: Hardware, devices: int) -> float:
        """Bytes a second between devices: the slowest link that a collective crosses."""
        return hardware.link if devices <= self.devices_a_machine else self.network
