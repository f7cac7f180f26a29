"""Who and what the simulated cluster is made of. All figures are made up; none is a measurement."""

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
    gpu_idle_w: float  # one GPU without work
    gpu_dynamic_w: float  # added by one busy GPU
    node_interval_s: int  # how often the BMC is asked

    @property
    def rated_w(self) -> float:
        """The node without its GPUs, all cores busy [W]."""
        return self.idle_w + self.cpus * self.core_w

    @property
    def ceiling_w(self) -> float:
        """What its whole-node meter can never exceed [W]: a quarter above everything busy."""
        gpus_w = self.gpus * (self.gpu_idle_w + self.gpu_dynamic_w)
        return 1.25 * (self.rated_w + gpus_w)

    @property
    def nodes(self) -> tuple[str, ...]:
        """Host names."""
        return tuple(f"{self.prefix}{number:02d}" for number in range(1, self.count + 1))


@dataclass(frozen=True, slots=True)
class Person:
    """A simulated user of the machine."""

    username: str
    uid: int
    account: str


CPU = NodeModel(
    name="cpu",
    prefix="cpu",
    count=5,
    cpus=64,
    gpus=0,
    cpu_model="2 x 32 cores (simulated)",
    gpu_model="",
    memory_gib=256,
    idle_w=165.0,
    core_w=7.0,
    gpu_idle_w=0.0,
    gpu_dynamic_w=0.0,
    node_interval_s=60,
)
HIGH_MEMORY = NodeModel(
    name="highmem",
    prefix="hm",
    count=2,
    cpus=96,
    gpus=0,
    cpu_model="2 x 48 cores (simulated)",
    gpu_model="",
    memory_gib=2048,
    idle_w=310.0,
    core_w=5.5,
    gpu_idle_w=0.0,
    gpu_dynamic_w=0.0,
    node_interval_s=60,
)
GPU4 = NodeModel(
    name="gpu4",
    prefix="gpu",
    count=3,
    cpus=64,
    gpus=4,
    cpu_model="2 x 32 cores (simulated)",
    gpu_model="A100-class (simulated)",
    memory_gib=512,
    idle_w=240.0,
    core_w=6.5,
    gpu_idle_w=52.0,
    gpu_dynamic_w=330.0,
    node_interval_s=30,
)
MIXED = NodeModel(
    name="mixed",
    prefix="mix",
    count=2,
    cpus=48,
    gpus=2,
    cpu_model="2 x 24 cores (simulated)",
    gpu_model="T4-class (simulated)",
    memory_gib=384,
    idle_w=175.0,
    core_w=6.0,
    gpu_idle_w=12.0,
    gpu_dynamic_w=58.0,
    node_interval_s=30,
)
NODE_MODELS = (CPU, HIGH_MEMORY, GPU4, MIXED)
MODEL_OF_NODE = {node: model for model in NODE_MODELS for node in model.nodes}
GPU_INTERVAL_S = 30

PEOPLE = {
    person.username: person
    for person in (
        Person("alice", 5001, "imaging"),
        Person("bob", 5002, "climate"),
        Person("carol", 5003, "imaging"),
        Person("dave", 5004, "climate"),
        Person("erin", 5005, "genomics"),
        Person("frank", 5006, "genomics"),
        Person("grace", 5007, "chemistry"),
        Person("heidi", 5008, "chemistry"),
    )
}
