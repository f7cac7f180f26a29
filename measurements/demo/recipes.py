"""The kinds of jobs that run on the simulated cluster."""

from __future__ import annotations

from dataclasses import dataclass, replace

from measurements.demo.people import Person
from measurements.demo.physics import Load, Profile


@dataclass(frozen=True, slots=True)
class Recipe:
    """A kind of job: who submits it, how long it takes [h], how hard it works, what it says of its work."""

    name: str
    usernames: tuple[str, ...]
    hours: tuple[float, float]
    profile: Profile
    comment: str = ""

    def lasting(self, hours: float) -> Recipe:
        """The same, of a known length."""
        return replace(self, hours=(hours, hours))


@dataclass(frozen=True, slots=True)
class Lane:
    """What one job at a time can hold: some cores and GPUs of each of some nodes."""

    partition: str
    nodes: tuple[str, ...]
    cpus: int  # of each node
    gpu_indices: tuple[int, ...] = ()  # on each node


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one simulated job. Instants in whole seconds since the epoch, [start, end)."""

    job_id: str
    raw_id: int
    person: Person
    recipe: Recipe
    lane: Lane
    submit_s: int
    start_s: int
    end_s: int
    limit_s: int
    state: str
    story: str = ""  # the story it belongs to (`stories`)

    def load(self) -> Load:
        """What it asks of each of its nodes."""
        return Load(self.start_s, self.end_s, self.lane.cpus, self.lane.gpu_indices, self.recipe.profile)


# Every day.
CFD = Recipe("cfd-channel", ("bob", "dave", "judy"), (8.0, 18.0), Profile(cpu=0.92, dip=0.3, period_s=900))
REGIONAL_CLIMATE = Recipe("regional-climate", ("bob",), (23.7, 23.7), Profile(cpu=0.80, dip=0.5, period_s=3600))
OCEAN_FORECAST = Recipe("ocean-forecast", ("walter",), (23.6, 23.6), Profile(cpu=0.72, dip=0.4, period_s=2700))
MEMORY_BOUND = Recipe("sparse-solver", ("dave", "heidi", "trent"), (8.0, 18.0), Profile(cpu=0.22))
MOLECULES = Recipe("md-membrane", ("grace", "heidi", "oscar"), (8.0, 18.0), Profile(cpu=0.97), "workload=gromacs")
STATISTICS = Recipe(
    "r-statistics", ("erin", "frank", "dave", "niaj"), (9.0, 19.0), Profile(cpu=0.55, dip=0.6, period_s=420)
)
ASSEMBLY = Recipe("genome-assembly", ("erin", "frank", "sybil"), (8.0, 20.0), Profile(0.70, dip=0.5, period_s=2400))
ALIGNMENT = Recipe("align-reads", ("erin", "niaj"), (0.8, 1.6), Profile(cpu=0.88), "workload=bwa")
REGISTRATION = Recipe(
    "image-registration",
    ("carol", "ivan", "petra", "quentin", "rosa"),
    (9.0, 19.0),
    Profile(cpu=0.85, dip=0.4, period_s=240),
    "workload=image-registration phase=development",
)
SEGMENTATION = Recipe(
    "segment-volumes",
    ("alice", "carol", "ivan", "petra", "ursula", "rosa", "yusuf"),
    (9.0, 20.0),
    Profile(0.22, 0.93, 0.6, period_s=300, dip_share=0.12),
    "workload=unet-3d phase=inference",
)
LONG_TRAINING = Recipe(
    "train-folds", ("alice",), (23.7, 23.7), Profile(0.25, 0.95, 0.5, period_s=360), "workload=unet-3d phase=training"
)
PREDICTION = Recipe(
    "predict-volumes",
    ("alice", "carol", "victor", "quentin", "ursula"),
    (7.0, 15.0),
    Profile(0.35, 0.45, 0.8, period_s=90, dip_share=0.4),
    "workload=volume-net phase=inference",
)
EMBEDDING = Recipe(
    "embed-sequences",
    ("frank", "erin"),
    (9.0, 19.0),
    Profile(0.15, 0.75, 0.3, period_s=150),
    "workload=protein-embedding phase=inference",
)
PRE_AND_POST = Recipe("coupled-ocean", ("bob",), (3.0, 3.0), Profile(cpu=0.75, dip=0.4, period_s=1200))

# Of the stories. How much power they draw follows from how hard they work, and nothing else is said of it.
TWIN_HOURS = 6.0
BUSY_TWIN = Recipe("fit-atlas", ("alice",), (TWIN_HOURS, TWIN_HOURS), Profile(cpu=0.98))
STALLED_TWIN = Recipe("fit-atlas-nfs", ("alice",), (TWIN_HOURS, TWIN_HOURS), Profile(cpu=0.02))  # waits for its files
RANKED = (  # the longest first: the less time, the harder the work
    Recipe("scan-archive", ("alice",), (9.0, 9.0), Profile(cpu=0.05)),
    Recipe("filter-volumes", ("alice",), (7.5, 7.5), Profile(cpu=0.40, dip=0.2, period_s=300)),
    Recipe("deform-meshes", ("alice",), (6.0, 6.0), Profile(cpu=0.97)),
)
IDLE_GPUS = Recipe("coupled-cluster", ("grace",), (11.5, 11.5), Profile(cpu=0.95, gpu=0.0))
FAILING = Recipe("call-variants", ("frank",), (1.0, 1.7), Profile(cpu=0.93))
_TRAINING, _INFERENCE = (
    f"workload=nnunet phase={phase} work={work}"
    for phase, work in (("training", "50 epochs"), ("inference", "200 cases"))
)
NNUNET_TRAIN_GPU = Recipe(
    "nnunet-train", ("alice",), (0.55, 0.55), Profile(0.22, 0.93, 0.6, period_s=300, dip_share=0.12), _TRAINING
)
NNUNET_TRAIN_CPU = Recipe("nnunet-train-cpu", ("alice",), (9.0, 9.0), Profile(cpu=0.96), _TRAINING)
NNUNET_PREDICT_GPU = Recipe(
    "nnunet-predict", ("alice",), (0.36, 0.36), Profile(0.35, 0.45, 0.8, period_s=90, dip_share=0.4), _INFERENCE
)
NNUNET_PREDICT_CPU = Recipe(
    "nnunet-predict-cpu", ("alice",), (0.63, 0.63), Profile(cpu=0.90, dip=0.4, period_s=240), _INFERENCE
)
