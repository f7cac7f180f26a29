"""The admin: what the machine is, and what came in. Whatever changes a joule marks its days dirty."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from measurements.models import (
    Batch,
    Channel,
    ChannelPeriod,
    Cluster,
    MeterPeriod,
    Node,
    NodeAlias,
    NodeConfig,
    NodeState,
    NodeType,
    PendingCorrection,
    PolicyPeriod,
    Quarantine,
)
from measurements.services.machine import StillHolds, delete_cluster, description_changed, held_by


class DescriptionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """What describes nodes: after a change their booked days are rebuilt."""

    def nodes(self, thing: Any) -> list[Node]:
        """The nodes that a changed object describes."""
        raise NotImplementedError

    def save_related(self, request: HttpRequest, form: ModelForm[Any], formsets: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        """The object and all below it are saved by then."""
        super().save_related(request, form, formsets, change)
        description_changed(self.nodes(form.instance))

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """A description less is a change as well."""
        nodes = [node for node in self.nodes(obj) if node != obj]
        super().delete_model(request, obj)
        description_changed(nodes)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """One at a time, so that its days are marked."""
        return obj is not None and super().has_delete_permission(request, obj)


class NodeConfigInline(admin.TabularInline):  # type: ignore[type-arg]
    """What a node is made of."""

    model = NodeConfig
    extra = 0


class NodeStateInline(admin.TabularInline):  # type: ignore[type-arg]
    """When it was down, drained or off; read from files by load_node_states."""

    model = NodeState
    extra = 0


class NodeAliasInline(admin.TabularInline):  # type: ignore[type-arg]
    """Names a node had."""

    model = NodeAlias
    extra = 0


class ChannelPeriodInline(admin.TabularInline):  # type: ignore[type-arg]
    """What is declared of a channel."""

    model = ChannelPeriod
    extra = 0


class QuarantineInline(admin.TabularInline):  # type: ignore[type-arg]
    """What of a batch was refused."""

    model = Quarantine
    extra = 0
    fields = ["reason", "count", "first_line", "example"]
    readonly_fields = ["reason", "count", "first_line", "example"]
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only ingest refuses."""
        return False


class PolicyPeriodInline(admin.TabularInline):  # type: ignore[type-arg]
    """How shared nodes are split; changed with attribute --policy, which marks the days."""

    model = PolicyPeriod
    extra = 0
    readonly_fields = ["valid_from", "policy"]
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """See the class."""
        return False


@admin.register(Cluster)
class ClusterAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Made by load_nodes: the name is part of paths. One that holds nothing, by a typing error, may be deleted."""

    inlines = [PolicyPeriodInline]
    readonly_fields = ["name", "longest_run_ms"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """See the class."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """One at a time, so that it is looked at what it holds."""
        return obj is not None and super().has_delete_permission(request, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Who may delete a cluster may delete what describes it: nothing else goes with it."""
        shown, counts, _lacking, _protected = super().get_deleted_objects(objs, request)
        return shown, counts, set(), []

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Ask, and delete it; of one that holds something is said what."""
        cluster = self.get_object(request, unquote(object_id))
        if cluster is None or not self.has_delete_permission(request, cluster):
            return super().delete_view(request, object_id, extra_context)
        try:
            if what := held_by(cluster):
                raise StillHolds(what)
            return super().delete_view(request, object_id, extra_context)
        except StillHolds as fault:
            said = {"name": cluster.name, "what": ", ".join(fault.what)}
            sentence = _(
                "Cluster %(name)s is not deleted: it holds %(what)s. Only a cluster that holds nothing can be deleted."
            )
            messages.error(request, sentence % said)
            return redirect("admin:measurements_cluster_change", object_id)

    def delete_model(self, request: HttpRequest, obj: Cluster) -> None:
        """With what describes it."""
        delete_cluster(obj)


@admin.register(NodeType)
class NodeTypeAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Hardware models."""

    list_display = ["name", "cluster"]
    list_filter = ["cluster"]
    search_fields = ["name"]


@admin.register(Node)
class NodeAdmin(DescriptionAdmin):
    """Nodes and the meters above them."""

    list_display = ["name", "cluster", "level"]
    list_filter = ["cluster", "level"]
    search_fields = ["name"]
    autocomplete_fields = ["parent"]
    readonly_fields = ["first_sample_ms", "last_sample_ms"]
    inlines = [NodeConfigInline, NodeAliasInline, NodeStateInline]

    def nodes(self, thing: Node) -> list[Node]:
        """Itself."""
        return [thing]


@admin.register(Channel)
class ChannelAdmin(DescriptionAdmin):
    """Channels: interval, max gap, scope."""

    list_display = ["name", "kind", "node"]
    list_filter = ["kind", "node__cluster"]
    search_fields = ["name", "node__name"]
    autocomplete_fields = ["node"]
    inlines = [ChannelPeriodInline]

    def nodes(self, thing: Channel) -> list[Node]:
        """The node it is on."""
        return [thing.node]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Stored samples name it."""
        return False


@admin.register(MeterPeriod)
class MeterPeriodAdmin(DescriptionAdmin):
    """Which channels count as a node's energy."""

    list_display = ["node", "valid_from_ms", "automatic"]
    list_filter = ["automatic", "node__cluster"]
    search_fields = ["node__name"]
    autocomplete_fields = ["node", "channels"]

    def nodes(self, thing: MeterPeriod) -> list[Node]:
        """The node it meters."""
        return [thing.node]

    def save_model(self, request: HttpRequest, obj: MeterPeriod, form: ModelForm[Any], change: bool) -> None:  # noqa: FBT001 - Django's signature
        """From here on it is a person's choice."""
        obj.automatic = False
        super().save_model(request, obj, form, change)


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """What the pipeline writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """See the class."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """See the class."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """See the class."""
        return False


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    """What came in, and what of it was refused."""

    list_display = ["pk", "cluster", "content", "source", "read", "stored", "duplicates", "refused", "committed_at"]
    list_filter = ["cluster", "content"]
    inlines = [QuarantineInline]


@admin.register(PendingCorrection)
class PendingCorrectionAdmin(ReadOnlyAdmin):
    """Input for sealed days."""

    list_display = ["day", "cluster", "content", "rows", "batch"]
    list_filter = ["cluster", "content"]
    exclude = ["payload"]


from portal import (  # noqa: E402 - importing registers it; it builds on what stands above
    admin_budgets,  # noqa: F401
    admin_carbon,  # noqa: F401
    admin_people,  # noqa: F401
    admin_workloads,  # noqa: F401
)
