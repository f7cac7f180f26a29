"""The kinds of jobs that run on the simulated cluster."""

from __future__ import annotations

from dataclasses import dataclass, replace

from measurements.demo.cluster import MODEL_OF_NODE
from measurements.demo.declared import Work
from measurements.demo.people import Person
from measurements.demo.physics import Load, Profile

WAITS_EVERY_S = 1_800.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """A kind of job: who submits it, how long it takes [h], how hard it works, what it says of its work."""

    name: str
    usernames: tuple[str, ...]
    hours: tuple[float, float]
    profile: Profile
    work: Work | None = None
    wckey: str = ""

    @property
    def paced(self) -> bool:
        """Whether the work is given, and the time follows; else it is as much as fits in the time."""
        return self.work is not None and self.work.amount is not None

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

    @property
    def node_type(self) -> str:
        """Of its nodes: they are of one."""
        return MODEL_OF_NODE[self.nodes[0]].name

    def share(self, *, of_gpus: bool) -> float:
        """How many whole nodes' worth of cores, or of GPUs, it holds."""
        model = MODEL_OF_NODE[self.nodes[0]]
        held = len(self.gpu_indices) / model.gpus if of_gpus and model.gpus else self.cpus / model.cpus
        return len(self.nodes) * held


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
    comment: str = ""

    def load(self) -> Load:
        """What it asks of each of its nodes."""
        return Load(self.start_s, self.end_s, self.lane.cpus, self.lane.gpu_indices, self.profile)

    @property
    def profile(self) -> Profile:
        """How hard it works: who lets GPUs wait for files has them idle for a part of each period."""
        usual, waits = self.recipe.profile, self.person.habit.waits
        if not (waits and usual.gpu) or self.story or self.recipe.paced:
            return usual
        return replace(usual, dip=1.0, dip_share=waits, period_s=WAITS_EVERY_S)


# Every day.
CFD = Recipe(
    "cfd-channel", ("bob", "dave", "judy", "kim", "walter"), (8.0, 18.0), Profile(cpu=0.92, dip=0.3, period_s=900)
)
REGIONAL_CLIMATE = Recipe(
    "regional-climate", ("bob",), (23.7, 23.7), Profile(cpu=0.80, dip=0.5, period_s=3600), wckey="model:icon-regional"
)
OCEAN_FORECAST = Recipe(
    "ocean-forecast", ("walter",), (23.6, 23.6), Profile(cpu=0.72, dip=0.4, period_s=2700), wckey="model:fesom"
)
MEMORY_BOUND = Recipe(
    "sparse-solver",
    ("dave", "heidi", "trent"),
    (8.0, 18.0),
    Profile(cpu=0.22),
    Work("sparse-solver", "other", "solves", rates={"cpu": 40.0}),
)
MOLECULES = Recipe(
    "md-membrane",
    ("grace", "heidi", "oscar", "mia", "trent"),
    (8.0, 18.0),
    Profile(cpu=0.97),
    Work("gromacs", "other", "ns", rates={"cpu": 1.9}, size="membrane"),
)
STATISTICS = Recipe(
    "r-statistics",
    ("erin", "frank", "dave", "niaj", "leon", "kim"),
    (9.0, 19.0),
    Profile(cpu=0.55, dip=0.6, period_s=420),
)
ASSEMBLY = Recipe(
    "genome-assembly",
    ("erin", "frank", "sybil", "leon", "niaj"),
    (8.0, 20.0),
    Profile(0.70, dip=0.5, period_s=2400),
    Work("genome-assembly", "other", "gbases", rates={"highmem": 6.5}, size="plant"),
)
ALIGNMENT = Recipe(
    "align-reads",
    ("erin", "niaj"),
    (0.8, 1.6),
    Profile(cpu=0.88),
    Work("bwa", "other", "mreads", rates={"cpu": 95.0}),
)
REGISTRATION = Recipe(
    "image-registration",
    ("carol", "ivan", "petra", "quentin", "rosa"),
    (9.0, 19.0),
    Profile(cpu=0.85, dip=0.4, period_s=240),
    Work("image-registration", "development", "pairs", rates={"cpu": 60.0, "mixed": 38.0}),
)
SEGMENTATION = Recipe(
    "segment-volumes",
    ("alice", "carol", "ivan", "petra", "ursula", "rosa", "yusuf"),
    (9.0, 20.0),
    Profile(0.22, 0.93, 0.6, period_s=300, dip_share=0.12),
    Work("unet-3d", "inference", "volumes", rates={"gpu4": 310.0}),
)
LONG_TRAINING = Recipe(
    "train-folds",
    ("alice",),
    (23.7, 23.7),
    Profile(0.25, 0.95, 0.5, period_s=360),
    Work("unet-3d", "training", "epochs", rates={"gpu4": 9.0}),
)
PREDICTION = Recipe(
    "predict-volumes",
    ("alice", "carol", "victor", "quentin", "ursula"),
    (7.0, 15.0),
    Profile(0.35, 0.45, 0.8, period_s=90, dip_share=0.4),
    Work("volume-net", "inference", "volumes", rates={"gpu4": 520.0, "mixed": 95.0}),
)
EMBEDDING = Recipe(
    "embed-sequences",
    ("frank", "erin", "sybil", "leon", "niaj"),
    (9.0, 19.0),
    Profile(0.15, 0.75, 0.3, period_s=150),
    Work("protein-embedding", "inference", "sequences", rates={"gpu4": 41_000.0, "mixed": 5_200.0}),
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
NNUNET = "nnunet"  # the workload's name
_TRAINING = Work(NNUNET, "training", "epochs", 50, size="liver")
_INFERENCE = Work(NNUNET, "inference", "cases", 200, size="liver")
NNUNET_USERS = ("carol", "ivan", "petra", "quentin", "rosa", "ursula", "victor", "yusuf")
_ON_GPUS = Profile(0.35, 0.45, 0.8, period_s=90, dip_share=0.4)
_ON_CORES = Profile(cpu=0.90, dip=0.4, period_s=240)
NNUNET_TRAIN_GPU = Recipe(
    "nnunet-train", ("alice",), (0.55, 0.55), Profile(0.22, 0.93, 0.6, period_s=300, dip_share=0.12), _TRAINING
)
NNUNET_TRAIN_CPU = Recipe("nnunet-train-cpu", ("alice",), (9.0, 9.0), Profile(cpu=0.96), _TRAINING)
NNUNET_PREDICT_GPU = Recipe("nnunet-predict", ("alice",), (0.355, 0.355), _ON_GPUS, _INFERENCE)
NNUNET_PREDICT_CPU = Recipe("nnunet-predict-cpu", ("alice",), (0.63, 0.63), _ON_CORES, _INFERENCE)
NNUNET_PREDICT_MIXED = Recipe("nnunet-predict", NNUNET_USERS, (0.62, 0.62), Profile(0.4, 0.9, 0.3, 90), _INFERENCE)
NNUNET_PREDICT_HIGHMEM = Recipe("nnunet-predict-cpu", NNUNET_USERS, (0.52, 0.52), _ON_CORES, _INFERENCE)
