"""What the simulated cluster is made of. All figures are made up; none is a measurement."""

from __future__ import annotations

from dataclasses import dataclass

CLUSTER_NAME = "demo"


@dataclass(frozen=True, slots=True)
class NodeModel:
    """One hardware model and its power budget at the wall [W]."""

    name: str
    prefix: str
    count: int
    cpus: int
    gpus: int
    cpu_model: str
    gpu_model: str
    memory_gib: int
    idle_w: float  # without GPUs
    core_w: float  # dynamic power of one busy core
    gpu_idle_w: float = 0.0  # one GPU without work
    gpu_dynamic_w: float = 0.0  # added by one busy GPU

    @property
    def rated_w(self) -> float:
        """The node without its GPUs, all cores busy [W]."""
        return self.idle_w + self.cpus * self.core_w

    @property
    def full_w(self) -> float:
        """Everything busy [W]."""
        return self.rated_w + self.gpus * (self.gpu_idle_w + self.gpu_dynamic_w)

    @property
    def ceiling_w(self) -> float:
        """What its whole-node meter can never exceed [W]: a quarter above everything busy."""
        return 1.25 * self.full_w

    @property
    def nodes(self) -> tuple[str, ...]:
        """Host names."""
        return tuple(f"{self.prefix}{number:02d}" for number in range(1, self.count + 1))


CPU = NodeModel(
    name="cpu",
    prefix="cpu",
    count=12,
    cpus=64,
    gpus=0,
    cpu_model="2 x 32 cores (simulated)",
    gpu_model="",
    memory_gib=256,
    idle_w=128.0,
    core_w=7.5,
)
HIGH_MEMORY = NodeModel(
    name="highmem",
    prefix="hm",
    count=4,
    cpus=96,
    gpus=0,
    cpu_model="2 x 48 cores (simulated)",
    gpu_model="",
    memory_gib=2048,
    idle_w=310.0,
    core_w=5.5,
)
GPU4 = NodeModel(
    name="gpu4",
    prefix="gpu",
    count=6,
    cpus=64,
    gpus=4,
    cpu_model="2 x 32 cores (simulated)",
    gpu_model="A100-class (simulated)",
    memory_gib=512,
    idle_w=240.0,
    core_w=6.5,
    gpu_idle_w=52.0,
    gpu_dynamic_w=330.0,
)
MIXED = NodeModel(
    name="mixed",
    prefix="mix",
    count=4,
    cpus=48,
    gpus=2,
    cpu_model="2 x 24 cores (simulated)",
    gpu_model="T4-class (simulated)",
    memory_gib=384,
    idle_w=175.0,
    core_w=6.0,
    gpu_idle_w=12.0,
    gpu_dynamic_w=58.0,
)
NODE_MODELS = (CPU, HIGH_MEMORY, GPU4, MIXED)
MODEL_OF_NODE = {node: model for model in NODE_MODELS for node in model.nodes}
NODES = tuple(MODEL_OF_NODE)
GPUS = tuple((node, index) for node, model in MODEL_OF_NODE.items() for index in range(model.gpus))

FACILITY, SWITCHES = "facility", "switches"  # meters above the nodes, and beside them
METER_TYPE = "meter"
IT_FULL_W = sum(model.count * model.full_w for model in NODE_MODELS)
