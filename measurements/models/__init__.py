"""The domain's data; see each module."""

from measurements.models.cluster import (
    Channel,
    ChannelPeriod,
    Cluster,
    MeterPeriod,
    Node,
    NodeAlias,
    NodeConfig,
    NodeType,
    PolicyPeriod,
)
from measurements.models.jobs import Allocation, Job, JobQuerySet, Run
from measurements.models.ledger import (
    AllocationEnergy,
    DirtyDay,
    DirtyJob,
    DirtyNodeDay,
    JobEnergy,
    NodeDay,
    NodeHour,
    ProjectDay,
    Quality,
    UserDay,
)
from measurements.models.samples import Batch, PendingCorrection, Quarantine, SealedDay, Segment

__all__ = [
    "Allocation",
    "AllocationEnergy",
    "Batch",
    "Channel",
    "ChannelPeriod",
    "Cluster",
    "DirtyDay",
    "DirtyJob",
    "DirtyNodeDay",
    "Job",
    "JobEnergy",
    "JobQuerySet",
    "MeterPeriod",
    "Node",
    "NodeAlias",
    "NodeConfig",
    "NodeDay",
    "NodeHour",
    "NodeType",
    "PendingCorrection",
    "PolicyPeriod",
    "ProjectDay",
    "Quality",
    "Quarantine",
    "Run",
    "SealedDay",
    "Segment",
    "UserDay",
]
